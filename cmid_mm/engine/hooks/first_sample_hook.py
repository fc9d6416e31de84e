"""Whether the pipeline and the model mean the same images, before time is spent."""
from mmengine.dataset import default_collate
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.utils.keyed_random import SampleIndex


@HOOKS.register_module()
class FirstSampleHook(Hook):
    """Sends the first image through pipeline and data preprocessor before training.

    Other bands, another size or 16-bit values would stop the first step all the same, but
    only after every worker and process has started.
    """

    def before_train(self, runner) -> None:
        model = get_ori_model(runner.model)
        sample = runner.train_dataloader.dataset[SampleIndex(0, 0, 0)]
        inputs = model.data_preprocessor(default_collate([sample]), True)['inputs']
        model.check_size(inputs['images'][0])

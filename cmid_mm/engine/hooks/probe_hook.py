"""Accuracy of frozen features while the backbone trains."""
import copy

from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.utils.errors import CMIDError


@HOOKS.register_module()
class ProbeHook(Hook):
    """Probes student and teacher on a labelled folder, every few epochs and after the last.

    Adds a validation loop to the training: that of ``tools/test.py --probes``, with the
    config's ``test_dataloader`` and ``probe_evaluator``. mmengine runs it after the epoch's
    checkpoint was saved, on all processes, each with its share of the images, and the
    accuracies are sent to log and ``visualizer`` as those of any validation.

    The training is the same without it: evaluation mode draws no random number and changes no
    state that a later step depends on.

    Args:
        interval (int): Epochs between two probes; 0 disables them. Defaults to 0.
        data_root (str, optional): Folder whose sub-folders are the classes, in place of
            that of ``test_dataloader``. Defaults to None.

    Raises:
        CMIDError: ``interval`` is negative. Before training: the config lacks a part or has a
            validation of its own, or the folder does not exist or has no classes.
    """

    # the folder is checked before any slow step
    priority = 'HIGH'

    def __init__(self, interval: int = 0, data_root: str | None = None):
        if interval < 0:
            raise CMIDError(f'interval of ProbeHook is a number of epochs, not {interval}')
        self.interval = interval
        self.data_root = data_root
        self.feature_of = None

    def before_train(self, runner) -> None:
        if not self.interval:
            return
        self.check(runner)
        loop = runner.build_val_loop(dict(
            type='ValLoop',
            dataloader=self.loader_config(runner.cfg),
            evaluator=runner.cfg.probe_evaluator,
            fp16=(runner.cfg.get('test_cfg') or {}).get('fp16', False)))
        classes = loop.dataloader.dataset.metainfo.get('classes') or ()
        if len(classes) < 2:
            raise CMIDError(
                f'a probe needs two classes or more, but finds {", ".join(classes) or "none"}: '
                'default_hooks.probe.data_root must be the folder whose sub-folders are the '
                'classes')
        runner._val_loop = loop
        runner.train_loop.val_begin = 1
        runner.train_loop.dynamic_milestones = [0]
        runner.train_loop.dynamic_intervals = [self.interval]

    def check(self, runner) -> None:
        """Raise CMIDError where the config has a validation of its own, or lacks a part."""
        for part in ('test_dataloader', 'probe_evaluator'):
            if runner.cfg.get(part) is None:
                raise CMIDError(f'default_hooks.probe needs {part} in the config: take it from '
                                 'configs/_base_/datasets/image_folder_224.py, or set '
                                 'default_hooks.probe.interval=0')
        if runner.val_loop is not None:
            raise CMIDError('default_hooks.probe replaces the validation, but the '
                             'config has val_dataloader: set default_hooks.probe.interval=0, or '
                             'remove val_dataloader, val_evaluator and val_cfg')

    def loader_config(self, cfg) -> dict:
        """The config's ``test_dataloader``, on the folder of the probe."""
        # a copy, because the config of the run must not change
        loader = copy.deepcopy(cfg.test_dataloader)
        # between two probes workers would only take memory
        loader.update(persistent_workers=False)
        if self.data_root is not None:
            for part in loader.dataset.get('datasets', [loader.dataset]):
                part.data_root = self.data_root
        return loader

    def before_val(self, runner) -> None:
        if self.interval:
            model = get_ori_model(runner.model)
            self.feature_of, model.feature_of = model.feature_of, 'both'

    def after_val(self, runner) -> None:
        if self.interval:
            get_ori_model(runner.model).feature_of = self.feature_of
            runner.model.train()

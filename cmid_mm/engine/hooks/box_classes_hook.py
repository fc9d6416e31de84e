"""Refuses a detector whose heads do not have the classes of its data."""
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model


@HOOKS.register_module()
class BoxClassesHook(Hook):
    """Compares ``num_classes`` of a detector with every data set of the run.

    mmdet's own check comes with the first epoch and not at all in a test, where a label
    without a name ends in an index error.
    """

    def before_run(self, runner) -> None:
        """Before the first image is read.

        Raises:
            ValueError: In one line, a head has another number of classes than a data
                set, or the data sets have different classes.
        """
        loops = dict(training=runner._train_loop, validation=runner._val_loop,
                     test=runner._test_loop)
        # a loop that this run does not use is a dict still
        classes = {use: tuple(loop.dataloader.dataset.metainfo['classes'])
                   for use, loop in loops.items() if hasattr(loop, 'dataloader')}
        if len(set(classes.values())) > 1:
            raise ValueError(f'the data sets have different classes: {classes}')
        use, names = next(iter(classes.items()))
        for name, module in get_ori_model(runner.model).named_modules():
            count = getattr(module, 'num_classes', None)
            # the region proposal head knows one class only: object
            if count is None or name.startswith(('backbone', 'rpn_head')):
                continue
            if count != len(names):
                raise ValueError(
                    f'model.{name} has num_classes={count}, but the data set of the '
                    f'{use} has {len(names)} ({", ".join(names)}): set num_classes='
                    f'{len(names)}')

"""Keeps the list files of other packages' data sets inside of the data folder."""
import os

from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cmid_mm.datasets.list_file import refuse_outside


@HOOKS.register_module()
class ListPathsHook(Hook):
    """Refuses a list with absolute paths or parent folders before an image is read.

    mmseg and open-cd join whatever a line says to the folder of the images. The data sets
    of this package look themselves.

    Args:
        allow_outside (bool): Whether lists may name files elsewhere. Defaults to False.
    """

    def __init__(self, allow_outside: bool = False):
        self.allow_outside = allow_outside

    def before_run(self, runner) -> None:
        """Look at the lists of every loop that this run uses.

        Raises:
            ValueError: In one line, a path leaves the folder.
        """
        if self.allow_outside:
            return
        for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
            # a loop that this run does not use is a dict still
            if hasattr(loop, 'dataloader'):
                for dataset in _innermost(loop.dataloader.dataset):
                    ann_file = getattr(dataset, 'ann_file', '')
                    if ann_file and os.path.isfile(ann_file):
                        refuse_outside(ann_file)


def _innermost(dataset) -> list:
    """The data sets inside of mmengine's wrappers."""
    if hasattr(dataset, 'datasets'):
        return [inner for part in dataset.datasets for inner in _innermost(part)]
    return _innermost(dataset.dataset) if hasattr(dataset, 'dataset') else [dataset]

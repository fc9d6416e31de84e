"""Counts and logs the broken images of a training, and ends it where they are too many."""
import math
from itertools import islice
from pathlib import Path

from mmengine.dist import all_gather_object, get_rank, is_main_process
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cmid_mm.checkpoints.files import atomic_write
from cmid_mm.datasets.file_limits import ImageError
from cmid_mm.datasets.raster_paths import split_window
from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.one_line import one_line

_NAMES_IN_ERROR = 3
# standard deviations that a share may be above the limit within an epoch
_MARGIN = 4


@HOOKS.register_module()
class BrokenImagesHook(Hook):
    """Reports the images that ``ImageFolder(replace_broken=True)`` had to replace.

    The log names every broken file once, with the reason; those that other processes find,
    at the end of the epoch. ``broken_images.txt`` in the work dir lists them all, per line a
    path, a tab and the reason; it is written at the end of each epoch.

    Too many broken images end the run. At the end of an epoch, their share of the images of
    all processes is compared with the limit. Before that, a process ends the run after
    ``patience`` samples where its share is above the limit by more than chance explains: by
    four standard deviations of a binomial distribution.

    Args:
        max_share (float): Largest share of broken images, from 0 to 1. Defaults to 0.1.
        patience (int): Samples of a process before it may end the run. Defaults to 200.

    Raises:
        CMIDError: An argument is out of range, or too many images are broken.
    """

    def __init__(self, max_share: float = 0.1, patience: int = 200):
        if not 0 <= max_share <= 1 or patience < 1:
            raise CMIDError('BrokenImagesHook needs 0 <= max_share <= 1 and patience >= 1, not '
                            f'{max_share} and {patience}')
        self.max_share = max_share
        self.patience = patience

    def before_train(self, runner) -> None:
        # part of every checkpoint, so that a resumed run logs no file twice
        self.reasons = dict(runner.message_hub.get_info('broken_images', {}))
        runner.message_hub.update_info('broken_images', self.reasons)

    def before_train_epoch(self, runner) -> None:
        self.count = self.broken = self.empty = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Count ``broken`` of the batch, (B,) int64 on the CPU, see ``PackViews``."""
        if not isinstance(data_batch, dict) or 'broken' not in data_batch:
            return
        dataset = runner.train_dataloader.dataset
        samples = [sample for sample in data_batch['broken'].tolist() if sample >= 0]
        self.count += len(data_batch['broken'])
        self.broken += len(samples)
        self.empty += int((data_batch['broken'] < -1).sum())
        for sample in samples:
            path = dataset.get_data_info(sample)['img_path']
            if path not in self.reasons:
                self._add(runner, path, find_reason(dataset, sample, path))
        margin = _MARGIN * math.sqrt(self.max_share * (1 - self.max_share) * self.count)
        if self.count >= self.patience and self.broken > self.max_share * self.count + margin:
            self._refuse(runner)

    def after_train_epoch(self, runner) -> None:
        """Gather the findings of all processes."""
        counts, broken, empty, found = zip(
            *all_gather_object((self.count, self.broken, self.empty, self.reasons)))
        self.count, self.broken, self.empty = sum(counts), sum(broken), sum(empty)
        if self.empty:
            runner.logger.info(f'{self.empty:,} of {self.count:,} windows of this epoch had too '
                               'little data (min_valid) and were replaced by others')
        for reasons in found:
            for path in reasons.keys() - self.reasons.keys():
                self._add(runner, path, reasons[path])
        if is_main_process() and self.reasons:
            self._write(runner)
        if self.broken > self.max_share * self.count:
            self._refuse(runner)

    def after_train(self, runner) -> None:
        if self.reasons:
            runner.logger.warning(
                f'{len(self.reasons):,} of {len(runner.train_dataloader.dataset):,} images are '
                f'broken and were replaced: {_list_file(runner)}')

    def _add(self, runner, path: str, reason: str) -> None:
        """Record and log one broken file."""
        self.reasons[path] = reason
        runner.logger.warning(one_line(f'broken image, replaced by another: {path} {reason}'))

    def _write(self, runner) -> None:
        """Write the list of broken files."""
        with atomic_write(_list_file(runner)) as path:
            path.write_text(''.join(f'{one_line(file)}\t{one_line(reason)}\n'
                                    for file, reason in self.reasons.items()), encoding='utf-8')

    def _refuse(self, runner) -> None:
        """Write the list of broken files and raise CMIDError."""
        self._write(runner)
        names = ', '.join(islice(self.reasons, _NAMES_IN_ERROR))
        raise CMIDError(one_line(
            f'{self.broken:,} of {self.count:,} images of this epoch are broken '
            f'({self.broken / self.count:.1%}), more than max_share={self.max_share:g} of '
            f'BrokenImagesHook allows: {names} (all in {_list_file(runner)}); repair them, train '
            'on the list of good images that tools/check_dataset.py writes, or raise max_share'))


def _list_file(runner) -> Path:
    """Path of the list of this process."""
    rank = get_rank()
    name = f'broken_images_rank{rank}.txt' if rank else 'broken_images.txt'
    return Path(runner.work_dir) / name


def find_reason(dataset, sample: int, path: str) -> str:
    """Why an image could not be read, from reading it again.

    Args:
        dataset (Dataset): The outermost data set.
        sample (int): Index in it.
        path (str): File of the image.

    Returns:
        str: What follows the path in the message of the error.
    """
    try:
        # without seed and epoch it is not replaced
        dataset[sample]
    except ImageError as error:
        return str(error).removeprefix(path).strip()
    except ValueError:
        # a transform after the reading requires the key, so the image was read
        pass
    if split_window(path)[1] is not None:
        return 'is damaged at one of the places of this window: repair or replace the file'
    return 'could not be read at first, but can be now: check the disk or the network'

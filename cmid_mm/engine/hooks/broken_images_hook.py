"""Counts and logs the broken images of a training, and ends it where they are too many."""
import math
from itertools import islice
from pathlib import Path

from mmengine.dist import all_gather_object, get_rank, is_main_process
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cmid_mm.checkpoints.files import atomic_write
from cmid_mm.datasets.image_reading import ImageError
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
        if not 0 <= max_share <= 1:
            raise CMIDError(f'max_share is a share, from 0 to 1: {max_share}')
        if patience < 1:
            raise CMIDError(f'patience is a number of samples, from 1 on: {patience}')
        self.max_share = max_share
        self.patience = patience
        self.count = self.broken = 0
        self.named, self.fresh = {}, {}

    def before_train(self, runner) -> None:
        # part of every checkpoint, so that a resumed run logs no file twice
        self.named = dict(runner.message_hub.get_info('broken_images', {}))
        self.fresh = {}
        runner.message_hub.update_info('broken_images', self.named)

    def before_train_epoch(self, runner) -> None:
        self.count = self.broken = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Count ``broken`` of the batch, (B,) int64 on the CPU: a sample's index, or -1."""
        if not isinstance(data_batch, dict) or 'broken' not in data_batch:
            return
        samples = [sample for sample in data_batch['broken'].tolist() if sample >= 0]
        self.count += len(data_batch['broken'])
        self.broken += len(samples)
        for sample in samples:
            path = runner.train_dataloader.dataset.get_data_info(sample)['img_path']
            if path not in self.named:
                self.fresh[path] = find_reason(runner.train_dataloader.dataset, sample, path)
                self.name(runner, path, self.fresh[path])
        share = self.max_share
        margin = _MARGIN * math.sqrt(share * (1 - share) * self.count)
        if self.count >= self.patience and self.broken > share * self.count + margin:
            self.refuse(runner)

    def after_train_epoch(self, runner) -> None:
        """Gather the findings of all processes."""
        parts = all_gather_object((self.count, self.broken, self.fresh))
        self.count, self.broken = (sum(part[i] for part in parts) for i in range(2))
        for *_, found in parts:
            for path, reason in found.items():
                if path not in self.named:
                    self.name(runner, path, reason)
        self.fresh = {}
        if is_main_process() and any(found for *_, found in parts):
            self.write(runner)
        if self.broken > self.max_share * self.count:
            self.refuse(runner)

    def after_train(self, runner) -> None:
        if self.named:
            runner.logger.warning(
                f'{len(self.named):,} of {len(runner.train_dataloader.dataset):,} images are '
                f'broken and were replaced: {self.file(runner)}')

    def name(self, runner, path: str, reason: str) -> None:
        """Log one broken file."""
        self.named[path] = reason
        runner.logger.warning(one_line(f'broken image, replaced by another: {path} {reason}'))

    def file(self, runner) -> Path:
        """Path of the list of this process."""
        rank = get_rank()
        name = f'broken_images_rank{rank}.txt' if rank else 'broken_images.txt'
        return Path(runner.work_dir) / name

    def write(self, runner) -> None:
        """Write the list of broken files."""
        with atomic_write(self.file(runner)) as path:
            path.write_text(''.join(f'{one_line(file)}\t{one_line(reason)}\n'
                                    for file, reason in self.named.items()), encoding='utf-8')

    def refuse(self, runner) -> None:
        """Write the list of broken files and raise CMIDError."""
        self.write(runner)
        names = ', '.join(islice(self.named, _NAMES_IN_ERROR))
        more = ', ...' if len(self.named) > _NAMES_IN_ERROR else ''
        raise CMIDError(one_line(
            f'{self.broken:,} of {self.count:,} images of this epoch are broken '
            f'({self.broken / self.count:.1%}), more than max_share={self.max_share:g} of '
            f'BrokenImagesHook allows: {names}{more} (all in {self.file(runner)}); repair '
            'them, train on the list of good images that tools/check_dataset.py writes, or '
            'raise max_share'))


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
    return 'could not be read at first, but can be now: check the disk or the network'

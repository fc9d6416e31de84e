"""Broken images of a training: counted, named once, and refused where they are too many."""
import math
from itertools import islice
from pathlib import Path

from mmengine.dist import all_gather_object, get_rank, is_main_process
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cmid_mm.datasets.image_reading import ImageError
from cmid_mm.utils.one_line import one_line
from cmid_mm.checkpoints.files import atomic_write

_NAMES_IN_ERROR = 3
# Standard deviations that a share may lie above the limit while an epoch still runs.
_MARGIN = 4


@HOOKS.register_module()
class BrokenImagesHook(Hook):
    """Watches what ``ImageFolder(replace_broken=True)`` had to replace.

    The log names every broken file once, with the reason. ``broken_images.txt`` in the
    work dir has them all, a path, a tab and the reason a line; it is written at the end of
    each epoch. What other processes find is named at the end of the epoch, too.

    Too many broken images end the run. At the end of an epoch, their share in what all
    processes saw is compared with the limit. Before that, a process that has seen enough
    stops early where the share lies above the limit by more than chance explains, that is
    by four standard deviations of a binomial distribution.

    Args:
        max_share (float): Largest share of broken images, from 0 to 1. Defaults to 0.1.
        patience (int): So many samples a process sees before it judges. Defaults to 200.

    Raises:
        ValueError: An argument has no meaning.
    """

    def __init__(self, max_share: float = 0.1, patience: int = 200):
        if not 0 <= max_share <= 1:
            raise ValueError(f'max_share is a share, from 0 to 1: {max_share}')
        if patience < 1:
            raise ValueError(f'patience is a number of samples, from 1 on: {patience}')
        self.max_share = max_share
        self.patience = patience
        self.seen = self.broken = 0
        self.named, self.fresh = {}, {}

    def before_train(self, runner) -> None:
        # part of every checkpoint, so that a resumed run names nothing twice
        self.named = dict(runner.message_hub.get_info('broken_images', {}))
        self.fresh = {}
        runner.message_hub.update_info('broken_images', self.named)

    def before_train_epoch(self, runner) -> None:
        self.seen = self.broken = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Look at ``broken`` of the batch, (B,) int64 on the CPU.

        Raises:
            ValueError: Too many images are broken.
        """
        if not isinstance(data_batch, dict) or 'broken' not in data_batch:
            return
        samples = [sample for sample in data_batch['broken'].tolist() if sample >= 0]
        self.seen += len(data_batch['broken'])
        self.broken += len(samples)
        for sample in samples:
            path = runner.train_dataloader.dataset.get_data_info(sample)['img_path']
            if path not in self.named:
                self.fresh[path] = find_reason(runner.train_dataloader.dataset, sample, path)
                self.name(runner, path, self.fresh[path])
        share = self.max_share
        margin = _MARGIN * math.sqrt(share * (1 - share) * self.seen)
        if self.seen >= self.patience and self.broken > share * self.seen + margin:
            self.refuse(runner)

    def after_train_epoch(self, runner) -> None:
        """Bring together what all processes found.

        Raises:
            ValueError: Too many images are broken.
        """
        parts = all_gather_object((self.seen, self.broken, self.fresh))
        self.seen, self.broken = (sum(part[i] for part in parts) for i in range(2))
        for *_, found in parts:
            for path, reason in found.items():
                if path not in self.named:
                    self.name(runner, path, reason)
        self.fresh = {}
        if is_main_process() and any(found for *_, found in parts):
            self.write(runner)
        if self.broken > self.max_share * self.seen:
            self.refuse(runner)

    def after_train(self, runner) -> None:
        if self.named:
            runner.logger.warning(
                f'{len(self.named):,} of {len(runner.train_dataloader.dataset):,} images are '
                f'broken; others stood in for them: {self.file(runner)}')

    def name(self, runner, path: str, reason: str) -> None:
        """Tell of one broken file."""
        self.named[path] = reason
        runner.logger.warning(one_line(f'broken image, replaced by another: {path} {reason}'))

    def file(self, runner) -> Path:
        """Where the list of this process lies."""
        rank = get_rank()
        name = f'broken_images_rank{rank}.txt' if rank else 'broken_images.txt'
        return Path(runner.work_dir) / name

    def write(self, runner) -> None:
        """Write the list; an older one stays until the new one is complete."""
        with atomic_write(self.file(runner)) as path:
            path.write_text(''.join(f'{one_line(file)}\t{one_line(reason)}\n'
                                    for file, reason in self.named.items()), encoding='utf-8')

    def refuse(self, runner) -> None:
        """Raise ValueError, after the list of broken files was written."""
        self.write(runner)
        names = ', '.join(islice(self.named, _NAMES_IN_ERROR))
        more = ', ...' if len(self.named) > _NAMES_IN_ERROR else ''
        raise ValueError(one_line(
            f'{self.broken:,} of {self.seen:,} images of this epoch are broken '
            f'({self.broken / self.seen:.1%}), more than max_share={self.max_share:g} of '
            f'BrokenImagesHook allows: {names}{more} (all in {self.file(runner)}); repair '
            'them, train on the list of good images that tools/check_dataset.py writes, or '
            'raise max_share'))


def find_reason(dataset, sample: int, path: str) -> str:
    """What is wrong with an image, from a second look at it.

    Args:
        dataset (Dataset): The outermost data set.
        sample (int): Index in it.
        path (str): File of the image.

    Returns:
        str: What follows the path in the message of the error.
    """
    try:
        # Without seed and epoch no other image takes its place.
        dataset[sample]
    except ImageError as error:
        return str(error).removeprefix(path).strip()
    except ValueError:
        # The views ask for the key, so the image was read.
        pass
    return 'could not be read at first, but can be now: look at the disk or the network'

"""A training loop that resumes within an epoch."""
from mmengine.dist import get_world_size
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop

from cmid_mm.utils.errors import CMIDError

_INFO = 'data_of_run'


# in mmengine's own registry, as its other loops
@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """mmengine's loop, which resumes with the batch after the last one of the interrupted run.

    mmengine's loop begins a resumed epoch with its first batch. Here the sampler skips the
    samples that the epoch has already used, without reading them.
    """

    def run(self):
        """Train from the current iteration.

        Raises:
            CMIDError: The resumed run had other images or another batch, so its position in an
                epoch does not apply, or the sampler cannot start within an epoch.
        """
        self._check_data()
        return super().run()

    def run_epoch(self) -> None:
        """One epoch, or the rest of it."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        first = self._iter - self._epoch * len(self.dataloader)
        sampler = self.dataloader.sampler
        if hasattr(sampler, 'start'):
            sampler.start = first * self.dataloader.batch_size
        elif first:
            raise CMIDError(
                f'{type(sampler).__name__} cannot start within an epoch: set '
                "train_dataloader.sampler.type='KeyedSampler', or resume from a checkpoint of "
                'the end of an epoch')
        for batch_idx, data_batch in enumerate(self.dataloader, first):
            self.run_iter(batch_idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def _check_data(self) -> None:
        """Compare images and batch with those of the run that is resumed, and record them."""
        hub = self.runner.message_hub
        now = dict(images=len(self.dataloader.dataset),
                   batch=self.dataloader.batch_size * get_world_size())
        then = hub.runtime_info.get(_INFO, now) if self._iter else now
        if then != now:
            raise CMIDError(
                f'the run to resume had {then["images"]:,} images and batches of '
                f'{then["batch"]} over all processes, now there are {now["images"]:,} and '
                f'{now["batch"]}: resume with the same (train_dataloader.batch_size counts for '
                'one process), or start a new run from these weights with load_from')
        hub.update_info(_INFO, now)

"""Losses reach the log without a wait in every step."""
import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.utils import apply_to
from mmpretrain.registry import HOOKS
from torch import Tensor


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's hook, which reads losses from the device when somebody wants to see them.

    mmengine's reads each loss of each step, and every read waits until the device has done
    all that it was told, the optimiser's step included; then the device waits for the next
    step to be told. Here losses stay on the device until the log is written, a checkpoint is
    saved or the epoch ends, and come over as one tensor. The values in log and checkpoint
    are the same.
    """

    def __init__(self):
        self.waiting = []

    def before_train(self, runner) -> None:
        super().before_train(runner)
        self.interval = next((hook.interval for hook in runner.hooks
                              if isinstance(hook, LoggerHook)), 1)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if outputs:
            self.waiting.append((list(outputs), [
                value.detach() if isinstance(value, Tensor)
                else torch.tensor(value, dtype=torch.float64) for value in outputs.values()]))
        # whichever way the logger counts
        if (self.every_n_inner_iters(batch_idx, self.interval)
                or self.every_n_train_iters(runner, self.interval)
                or self.end_of_epoch(runner.train_dataloader, batch_idx)):
            self.read(runner)

    def after_train_epoch(self, runner, *args, **kwargs) -> None:
        super().after_train_epoch(runner, *args, **kwargs)
        self.read(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """The log so far belongs to the checkpoint, which mmengine has made up already."""
        if self.waiting:
            self.read(runner)
            checkpoint['message_hub'] = apply_to(
                runner.message_hub.state_dict(), torch.is_tensor, lambda tensor: tensor.cpu())

    def after_train(self, runner) -> None:
        self.read(runner)
        super().after_train(runner)

    def read(self, runner) -> None:
        """Take what is waiting over to the message hub, in the order of the steps."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        device = waiting[0][1][0].device
        values = torch.stack([value.to(device, non_blocking=True).reshape(())
                              for _, values in waiting for value in values])
        values = iter(values.tolist())
        for names, _ in waiting:
            for name in names:
                runner.message_hub.update_scalar(f'train/{name}', next(values))

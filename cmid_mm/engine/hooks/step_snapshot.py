"""What a forward pass moves besides gradients, so that a step can be taken back."""
import torch
from torch import Tensor, nn


class StepSnapshot:
    """Keeps running statistics, centre and the part of the queue that a step overwrites.

    The queue is not copied: the keys of a step go to places that are known before.

    Args:
        model (CMID): Its buffers are kept, but for those that hooks set.
    """

    def __init__(self, model: nn.Module):
        self.queue, self.pointer = model.global_head.queue, model.global_head.queue_ptr
        state = model.state_dict()
        self.buffers = [buffer for name, buffer in model.named_buffers()
                        if name in state and buffer is not self.queue]
        self.saved = [buffer.clone() for buffer in self.buffers]

    @torch.no_grad()
    def take(self, samples: int) -> None:
        """Remember the state before a step.

        Args:
            samples (int): Images of the step over all processes and accumulated batches;
                each brings two keys.
        """
        torch._foreach_copy_(self.saved, self.buffers)
        ahead = torch.arange(min(2 * samples, len(self.queue)), device=self.queue.device)
        self.places = (self.pointer + ahead) % len(self.queue)
        self.keys: Tensor = self.queue[self.places]

    @torch.no_grad()
    def restore(self) -> None:
        """Bring the remembered state back."""
        torch._foreach_copy_(self.buffers, self.saved)
        self.queue.index_copy_(0, self.places, self.keys)

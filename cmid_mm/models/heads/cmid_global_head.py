"""Head of CMID's global branch: contrast of images against a queue of old keys."""
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor

from cmid_mm.utils.distributed import gather_interleaved
from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.precision import widen


@MODELS.register_module()
class CMIDGlobalHead(BaseModule):
    """Contrasts each image's vector with the teacher's of its other view and of other images.

    Source: MoCo v2, arXiv 2003.04297, symmetric over the two views.

    Args:
        embed_dims (int): Length of a vector. Defaults to 256.
        queue_size (int): Keys in the queue. It need not be a multiple of the batch: the queue
            wraps. Defaults to 65536.
        bounded (bool): Whether ``PreflightHook`` sets ``limit`` to the number of images less a
            batch where the queue is longer. An image would otherwise be compared with its own old
            keys as if they were those of others. Defaults to True.
        loss (dict): Defaults to ``QueueContrastLoss``.

    Attributes:
        limit (int, optional): Number of newest keys that the loss uses; None for all.

    Raises:
        CMIDError: ``queue_size`` is below 1.
    """

    def __init__(self,
                 embed_dims: int = 256,
                 queue_size: int = 65536,
                 bounded: bool = True,
                 loss: dict = dict(type='QueueContrastLoss', temperature=0.2),
                 init_cfg=None):
        super().__init__(init_cfg)
        if queue_size < 1:
            raise CMIDError(f'queue_size must be at least 1, not {queue_size}')
        self.bounded = bounded
        self.limit = None
        self.loss_module = MODELS.build(loss)
        self.register_buffer('queue', F.normalize(torch.randn(queue_size, embed_dims), dim=1))
        self.register_buffer('queue_ptr', torch.zeros(1, dtype=torch.long))

    def loss(self, queries: list, keys: list) -> Tensor:
        """Symmetric loss of two views, both against the queue before this batch.

        Args:
            queries (list[Tensor]): Student vectors of view 0 and view 1, (B, D) each.
            keys (list[Tensor]): Teacher vectors of view 0 and view 1, (B, D) each.

        Returns:
            Tensor: Scalar.
        """
        with torch.autocast(queries[0].device.type, enabled=False):
            queries = [widen(query) for query in queries]
            keys = [widen(key) for key in keys]
            queue = self.newest_keys()
            loss = 0.5 * (
                self.loss_module(queries[0], keys[1], queue) +
                self.loss_module(queries[1], keys[0], queue))
        if self.training:
            self.enqueue(keys[1])
            self.enqueue(keys[0])
        return loss

    @torch.no_grad()
    def newest_keys(self) -> Tensor:
        """Copy of the keys to compare with: the backward pass needs them as they are now."""
        if self.limit is None or self.limit >= len(self.queue):
            return self.queue.clone()
        places = torch.arange(-self.limit, 0, device=self.queue.device)
        return self.queue[(self.queue_ptr + places) % len(self.queue)]

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Replace the oldest keys by those of all processes, each once.

        Args:
            keys (Tensor): (B, D) on each process, in the order of its samples.
        """
        keys = gather_interleaved(keys).to(self.queue.dtype)
        size = len(self.queue)
        places = (self.queue_ptr + torch.arange(len(keys), device=keys.device)) % size
        # if there are more keys than the queue can hold, the newest are kept
        self.queue.index_copy_(0, places[-size:], keys[-size:])
        self.queue_ptr.add_(len(keys)).remainder_(size)

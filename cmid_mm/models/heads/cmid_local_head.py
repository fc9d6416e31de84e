"""Head of CMID's local branch: self-distillation of matched cells."""
import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor

from cmid_mm.utils.distributed import global_mean
from cmid_mm.utils.precision import widen


@MODELS.register_module()
class CMIDLocalHead(BaseModule):
    """Compares prototype assignments of matched cells.

    Source: DINO, arXiv 2104.14294, on cells instead of images.

    Args:
        num_prototypes (int): Defaults to 2048.
        teacher_temperature (float): Initial value; ``CMIDTeacherTemperatureHook`` changes it.
            Defaults to 0.04.
        center_momentum (float): Share of the old centre. Defaults to 0.9.
        loss (dict): Defaults to ``AssignmentLoss``.
    """

    def __init__(self,
                 num_prototypes: int = 2048,
                 teacher_temperature: float = 0.04,
                 center_momentum: float = 0.9,
                 loss: dict = dict(type='AssignmentLoss', temperature=0.1),
                 init_cfg=None):
        super().__init__(init_cfg)
        self.center_momentum = center_momentum
        self.loss_module = MODELS.build(loss)
        self.register_buffer('center', torch.zeros(1, num_prototypes, 1))
        # not part of the state, because it is a function of the epoch alone
        self.register_buffer(
            'teacher_temperature', torch.tensor(teacher_temperature), persistent=False)

    def loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Loss of one direction; in training the centre is updated afterwards.

        Args:
            student (Tensor): (B, P, M), scores of the masked view's matched cells.
            teacher (Tensor): (B, P, M), scores of the cells with which they were matched.

        Returns:
            Tensor: Scalar.
        """
        with torch.autocast(student.device.type, enabled=False):
            teacher = widen(teacher.detach())
            loss = self.loss_module(widen(student), self.target(teacher))
        if self.training:
            self.update_center(teacher)
        return loss

    @torch.no_grad()
    def target(self, teacher: Tensor) -> Tensor:
        """Convert scores (B, P, M) to the target probabilities of the student."""
        return torch.softmax((teacher - self.center) / self.teacher_temperature, dim=1)

    @torch.no_grad()
    def update_center(self, teacher: Tensor) -> None:
        """Move the centre towards the mean score of each prototype over all processes."""
        mean = global_mean(teacher.mean((0, 2), keepdim=True))
        self.center.lerp_(mean.to(self.center.dtype), 1 - self.center_momentum)

"""Head of CMID's local branch: student and teacher agree on every place."""
import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor

from ...utils.distributed import global_mean
from ...utils.precision import widen


@MODELS.register_module()
class CMIDLocalHead(BaseModule):
    """Cross-entropy between prototype assignments of matched cells.

    Source: DINO, arXiv 2104.14294, on cells instead of images. The target, the loss and
    the update of the centre are three methods.

    Args:
        num_prototypes (int): Defaults to 2048.
        student_temperature (float): Defaults to 0.1.
        teacher_temperature (float): Start value; ``TeacherTemperatureHook`` moves it.
            Defaults to 0.04.
        center_momentum (float): Share of the old centre. Defaults to 0.9.
        loss_weight (float): Factor of the result. Defaults to 1.
    """

    def __init__(self,
                 num_prototypes: int = 2048,
                 student_temperature: float = 0.1,
                 teacher_temperature: float = 0.04,
                 center_momentum: float = 0.9,
                 loss_weight: float = 1.0,
                 init_cfg=None):
        super().__init__(init_cfg)
        self.student_temperature = student_temperature
        self.center_momentum = center_momentum
        self.loss_weight = loss_weight
        self.register_buffer('center', torch.zeros(1, num_prototypes, 1))
        # a function of the epoch alone, so no part of the state
        self.register_buffer(
            'teacher_temperature', torch.tensor(teacher_temperature), persistent=False)

    def loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Loss of one direction; in training the centre moves afterwards.

        Args:
            student (Tensor): (B, P, M), scores of the masked view's matched cells.
            teacher (Tensor): (B, P, M), scores of the cells they were matched with.

        Returns:
            Tensor: Scalar.
        """
        with torch.autocast(student.device.type, enabled=False):
            student, teacher = widen(student), widen(teacher.detach())
            log_probability = torch.log_softmax(student / self.student_temperature, dim=1)
            loss = -(self.target(teacher) * log_probability).sum(1).mean()
        if self.training:
            self.update_center(teacher)
        return self.loss_weight * loss

    @torch.no_grad()
    def target(self, teacher: Tensor) -> Tensor:
        """(B, P, M) scores to the probabilities that the student must reach."""
        return torch.softmax((teacher - self.center) / self.teacher_temperature, dim=1)

    @torch.no_grad()
    def update_center(self, teacher: Tensor) -> None:
        """Move the centre towards the mean score of each prototype over all processes."""
        mean = global_mean(teacher.mean((0, 2), keepdim=True))
        self.center.lerp_(mean.to(self.center.dtype), 1 - self.center_momentum)

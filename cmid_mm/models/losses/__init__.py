from .assignment_loss import AssignmentLoss
from .focal_frequency_loss import FocalFrequencyLoss
from .focal_l1_loss import FocalL1Loss
from .queue_contrast_loss import QueueContrastLoss

__all__ = ['AssignmentLoss', 'FocalFrequencyLoss', 'FocalL1Loss', 'QueueContrastLoss']

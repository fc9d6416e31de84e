"""Settings of an encoder that change its speed and not its results."""
import logging

import torch
from mmengine.logging import print_log
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cmid_mm.utils.errors import CMIDError

MIN_CELLS = 6


def choose_joint_views(setting: bool | str, backbone: nn.Module) -> bool:
    """Decide whether both views pass the backbone as one batch.

    Args:
        setting (bool | str): ``'auto'`` is True without batch norm, where it changes no result:
            with batch norm the images of a batch depend on each other.
        backbone (nn.Module): The student's.

    Raises:
        CMIDError: The setting is none of the three.
    """
    if setting not in (True, False, 'auto'):
        raise CMIDError(f"joint_views must be True, False or 'auto', not {setting!r}")
    if setting == 'auto':
        return not any(isinstance(child, _BatchNorm) for child in backbone.modules())
    return setting


def choose_memory_format(setting: bool | str, convolutional: bool) -> torch.memory_format:
    """Choose the order of channels and pixels in memory.

    Convolutions of oneDNN and, in half precision, of cuDNN compute in the channels-last layout
    and reorder maps of the other layout. A transformer has only one convolution.

    Args:
        setting (bool | str): Channels last; ``'auto'`` for convolutional networks.
        convolutional (bool): Whether all layers of the backbone work on maps.

    Raises:
        CMIDError: The setting is none of the three.
    """
    if setting not in (True, False, 'auto'):
        raise CMIDError(f"channels_last must be True, False or 'auto', not {setting!r}")
    last = convolutional if setting == 'auto' else setting
    return torch.channels_last if last else torch.contiguous_format


def warn_of_few_cells(image_size: int, stride: int) -> None:
    """Log a warning where a view has so few cells that the local branch learns little."""
    cells = image_size // stride
    if cells < MIN_CELLS:
        print_log(f'views of {image_size} px have {cells} x {cells} cells, at least '
                  f'{MIN_CELLS} x {MIN_CELLS} are better: use larger views, or a smaller stride '
                  '(model.backbone.strides=(1, 2, 2, 1) of a ResNet)', 'current', logging.WARNING)


def log_settings(joint: bool, memory_format: torch.memory_format, fused: int) -> None:
    """Log the settings of the encoders in one line."""
    parts = ['both views in one pass' if joint else 'one pass for each view',
             'channels last' if memory_format == torch.channels_last else 'channels first']
    if fused:
        parts.append(f'{fused} fused window attentions')
    print_log(f'encoders: {", ".join(parts)}', 'current')

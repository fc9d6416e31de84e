"""How an encoder is run, which changes its speed and not what it computes."""
import torch
from mmengine.logging import print_log
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def has_batch_norm(module: nn.Module) -> bool:
    """Whether images of one batch see each other."""
    return any(isinstance(child, _BatchNorm) for child in module.modules())


def choose_joint_views(wanted: bool | str, backbone: nn.Module) -> bool:
    """Whether both views pass the backbone as one batch.

    Args:
        wanted (bool | str): ``'auto'`` for where that changes nothing.
        backbone (nn.Module): The student's.

    Raises:
        ValueError: ``wanted`` is none of the three.
    """
    if wanted not in (True, False, 'auto'):
        raise ValueError(f"joint_views must be True, False or 'auto', not {wanted!r}")
    return not has_batch_norm(backbone) if wanted == 'auto' else wanted


def choose_memory_format(wanted: bool | str, convolutional: bool) -> torch.memory_format:
    """Order of channels and pixels in memory.

    Convolutions of oneDNN and, in half precision, of cuDNN want the channels of a pixel side
    by side, and reorder every map that comes otherwise. A transformer has one convolution.

    Args:
        wanted (bool | str): Channels last; ``'auto'`` for convolutional networks.
        convolutional (bool): Whether the backbone works on maps all through.

    Raises:
        ValueError: ``wanted`` is none of the three.
    """
    if wanted not in (True, False, 'auto'):
        raise ValueError(f"channels_last must be True, False or 'auto', not {wanted!r}")
    last = convolutional if wanted == 'auto' else wanted
    return torch.channels_last if last else torch.contiguous_format


def compile_stages(backbone: nn.Module, stem: str, options: dict) -> int:
    """Compile the stages of a backbone in place, each as one graph.

    The stem stays as it is: the mask token enters behind it through a hook. Names of
    parameters do not change.

    Sizes are taken as fixed, which they are in a pre-training; ``dynamic=True`` among the
    options says otherwise.

    Args:
        backbone (nn.Module): Changed in place.
        stem (str): Name of the stem's last module.
        options (dict): Arguments of ``torch.compile``.

    Returns:
        int: How many were compiled.
    """
    stages = []
    for name, child in backbone.named_children():
        parts = child.named_children() if isinstance(child, nn.ModuleList) else [('', child)]
        for part, module in parts:
            path = f'{name}.{part}'.rstrip('.')
            holds_stem = path == stem or stem.startswith(f'{path}.')
            if list(module.children()) and not holds_stem:
                stages.append(module)
    # stages share their code, and torch gives up on code that it has compiled 8 times
    limit = torch._dynamo.config.recompile_limit
    torch._dynamo.config.recompile_limit = max(limit, 8 * len(stages))
    for stage in stages:
        stage.compile(**dict(dynamic=False) | options)
    return len(stages)


def report(joint: bool, memory_format: torch.memory_format, fused: int, compiled: int) -> None:
    """Say in one line of the log how the encoders run."""
    parts = ['both views in one pass' if joint else 'one pass for each view',
             'channels last' if memory_format == torch.channels_last else 'channels first']
    if fused:
        parts.append(f'{fused} fused window attentions')
    if compiled:
        parts.append(f'{compiled} compiled stages')
    print_log(f'encoders: {", ".join(parts)}', 'current')

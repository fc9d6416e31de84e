"""Models of any mm framework for inference, with weights from an untrusted file."""
import copy
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from ..checkpoints.files import load_checkpoint_file
from ..checkpoints.state import compare_states
from ..models.selfsup.encoder_settings import choose_memory_format
from ..models.selfsup.recipe import fill_auto, sizes_in
from ..models.selfsup.window_attention import use_fused_attention
from ..utils.config_scope import scope_of
from ..utils.errors import CMIDError, MissingFileError

_ENCODERS = ('backbone', 'teacher')


def as_config(config: str | Config, options: dict | None = None) -> Config:
    """Copy of a config, with changed settings.

    Args:
        config (str | Config): File, or a config.
        options (dict, optional): Dotted key -> value, as in ``--cfg-options``.

    Raises:
        MissingFileError: The file does not exist.
    """
    if not isinstance(config, Config):
        if not Path(config).is_file():
            raise MissingFileError(f'no such config: {config}')
        config = Config.fromfile(config)
    config = copy.deepcopy(config)
    config.merge_from_dict(options or {})
    return config


def build_model(config: Config, checkpoint: str, device: str) -> nn.Module:
    """Build the model of a config with the weights of a checkpoint, for inference.

    Args:
        config (Config): Config of any mm framework.
        checkpoint (str): Checkpoint of its training.
        device (str): Device of the model.

    Returns:
        nn.Module: In evaluation mode; ``dataset_meta`` and ``input`` as the checkpoint has them.

    Raises:
        MissingFileError: The checkpoint does not exist.
        CMIDError: The checkpoint is of another model, or of a part of this model.
    """
    content = load_checkpoint_file(checkpoint)
    settings = copy.deepcopy(config.model)
    # mmpretrain and mmseg also accept it at the top level of the config
    if 'data_preprocessor' in config:
        settings.setdefault('data_preprocessor', config.data_preprocessor)
    state = content.get('state_dict', content)
    fill_auto(settings, sizes_in(state))
    with scope_of(config):
        model = MODELS.build(settings)
    _fill(model, state, Path(checkpoint).name)
    meta = content.get('meta') or {}
    model.dataset_meta, model.input = meta.get('dataset_meta') or {}, meta.get('input')
    return ready(model, device)


def _fill(model: nn.Module, state: dict, name: str) -> None:
    """Copy a state dict, with or without ``module.``, which must have every tensor."""
    match = compare_states(model.state_dict(), state)
    if match.missing or match.misfits:
        parts = {key.partition('.')[0] for key in match.missing}
        if parts and 'backbone' not in parts and any(
                key.split('.')[0] in _ENCODERS for key in state):
            fix = ('it holds a backbone without the rest of the model; train the config from it '
                   '(tools/train.py CONFIG --cfg-options '
                   f'model.backbone.init_cfg.checkpoint={name}) and give the result')
        else:
            fix = ('it is of another model; give the config that it was trained with '
                   '(work_dirs/.../config.py), number of classes and bands included')
        raise CMIDError(f'{name} does not fit the config: {match.differences}; {fix}')
    model.load_state_dict(match.tensors)


def ready(model: nn.Module, device: str) -> nn.Module:
    """Move a model to its device, in evaluation mode, with the fast settings."""
    use_fused_attention(model)
    weights = [module.weight.numel() for module in model.modules()
               if isinstance(module, nn.Conv2d)]
    mostly_convolutions = 2 * sum(weights) > sum(p.numel() for p in model.parameters())
    memory_format = choose_memory_format('auto', mostly_convolutions)
    model.to(device=device, memory_format=memory_format)
    # some backbones of mmpretrain return nothing from train() and eval()
    model.eval()
    return model.requires_grad_(False)

"""``init_cfg=dict(type='CMIDPretrained', checkpoint=...)`` for any backbone."""
import functools
import logging
import re

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.model.weight_init import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from ..utils.errors import CMIDError
from .architectures import STAGE_NORM
from .backbone import BackboneFile, read_backbone_file
from .export import ENCODERS
from .normalisation import check_normalisation, running_config
from .state import Match, incompatible, match_backbone


@WEIGHT_INITIALIZERS.register_module()
class CMIDPretrained:
    """Load the weights of a backbone, report what was loaded, and refuse a wrong file.

    The report counts tensors that matched, are missing, unexpected and reshaped, and
    compares the file's normalisation with that of the running config. Tensors that no
    pre-training has (norms of inner stages, counters) and parts that the model does not have
    (later stages, the last norm, heads) are not counted.

    Args:
        checkpoint (str): See ``read_backbone_file``.
        encoder (str, optional): ``'student'`` or ``'teacher'``. Defaults to None: the
            student of a training checkpoint, or the encoder of an exported file.
        prefix (str, optional): Prefix of the backbone's keys in the file. Defaults to
            None: detected.
        map_location (str | torch.device): Device to which the file is read. Defaults to 'cpu'.
        min_match (float): Smallest share, from 0 to 1, of the model's tensors that must
            be filled, and of the file's that must be used. Defaults to 1.
        allow_missing (str | Sequence[str]): Regular expressions of tensors of the model
            that may be missing in the file. Defaults to ().

    Raises:
        CMIDError: An argument is out of range; when called: the file does not fit, in one
            line with a suggested fix.
    """

    def __init__(self, checkpoint=None, encoder=None, prefix=None, map_location='cpu',
                 min_match=1., allow_missing=()):
        if not isinstance(checkpoint, str) or not checkpoint:
            raise CMIDError(f'checkpoint={checkpoint!r}: CMIDPretrained needs the path of a '
                            'file, init_cfg=dict(type="CMIDPretrained", checkpoint="...")')
        if encoder not in (None, *ENCODERS):
            raise CMIDError(f'encoder must be one of {tuple(ENCODERS)}, not {encoder!r}')
        if not 0 <= min_match <= 1:
            raise CMIDError(f'min_match={min_match} must be a share between 0 and 1')
        patterns = (allow_missing, ) if isinstance(allow_missing, str) else tuple(allow_missing)
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise CMIDError(f'allow_missing: {pattern!r} is no regular expression '
                                f'({error})') from error
        self.source = checkpoint, encoder, prefix, map_location or 'cpu'
        self.min_match = min_match
        self.allow_missing = patterns

    def __call__(self, module: nn.Module) -> None:
        """Fill ``module``."""
        self.fill(module, *self.match(module))

    def match(self, module: nn.Module) -> tuple[BackboneFile, Match]:
        """Read the file and compare it with ``module``, which is not changed."""
        file = read_backbone_file(*self.source)
        match = match_backbone(module, file.tensors, self.allow_missing)
        if match.share < self.min_match:
            raise CMIDError(
                f'CMIDPretrained: {incompatible(module, file, match, self.min_match)}')
        return file, match

    @torch.no_grad()
    def fill(self, module: nn.Module, file: BackboneFile, match: Match) -> None:
        """Copy the matched tensors into ``module`` and log the report."""
        own = module.state_dict()
        for key, value in match.tensors.items():
            own[key].copy_(value)
        # PreflightHook compares it with the images
        module.pretraining_input = file.meta.get('input')
        agrees, text = check_normalisation(file.meta, running_config())
        warnings = [text] if agrees is False else []
        if file.meta.get('encoder') and getattr(module, 'style', None) == 'caffe':
            warnings.append("style='caffe' has strides elsewhere than in pre-training, which no "
                            "tensor shows: set style='pytorch' in the backbone")
        report = f'{file}: {match}' + (f'; {text}' if agrees is not False else '')
        for line, warned in ((report, bool(match.differences)),
                             *((line, True) for line in warnings)):
            print_log(f'CMIDPretrained: {line}', 'current',
                      logging.WARNING if warned else logging.INFO)


class InitWeights:
    """Replaces ``module.init_weights`` where ``init_cfg`` is a ``CMIDPretrained``.

    It is an object and not a closure, so that the one in a deep copy of the module (for an EMA)
    acts on the copy, and so that the module can be pickled.

    Args:
        module (BaseModule): The backbone.
    """

    def __init__(self, module: BaseModule):
        self.module = module

    def __call__(self) -> None:
        module = self.module
        if not names_cmid_pretrained(module.init_cfg):
            return type(module).init_weights(module)
        if module.is_init:
            print_log(f'init_weights of {type(module).__name__} has been called more than '
                      'once.', 'current', logging.WARNING)
            return None
        initializer = CMIDPretrained(**_arguments(module.init_cfg))
        file, match = initializer.match(module)
        if _needs_initialization(module, match):
            init_cfg, module.init_cfg = module.init_cfg, None
            try:
                type(module).init_weights(module)
            finally:
                module.init_cfg = init_cfg
        initializer.fill(module, file, match)
        module.is_init = True
        # this attribute exists while a parent records how every parameter is initialised
        if hasattr(module, '_params_init_info'):
            update_init_info(module, f'CMIDPretrained: {file}')
        return None


def names_cmid_pretrained(init_cfg) -> bool:
    """Whether an ``init_cfg`` requests ``CMIDPretrained``.

    Raises:
        CMIDError: The ``init_cfg`` is a list that contains one.
    """
    if isinstance(init_cfg, (list, tuple)):
        if any(names_cmid_pretrained(item) for item in init_cfg):
            raise CMIDError('init_cfg is a list that holds a CMIDPretrained: give that dict '
                            'alone; what it leaves fresh is initialised as from scratch')
        return False
    return isinstance(init_cfg, dict) and init_cfg.get('type') in (
        'CMIDPretrained', 'mmengine.CMIDPretrained', CMIDPretrained)


def patch_base_module() -> None:
    """Let every mm module accept ``CMIDPretrained``; a second call does nothing.

    A registered initializer alone is not enough: ``BaseModule.init_weights`` runs all except its
    own ``Pretrained`` before the children initialise themselves and overwrite the loaded weights,
    and several transformers of mmpretrain, mmseg and mmdet load weights themselves or initialise
    their positions again. Therefore a module that is created with such an ``init_cfg`` gets its
    own ``init_weights``; any other module is not changed.
    """
    original = BaseModule.__init__
    if hasattr(original, '_cmid_patched'):
        return

    @functools.wraps(original)
    def __init__(self, init_cfg=None):
        original(self, init_cfg)
        if names_cmid_pretrained(init_cfg):
            # so that a mistake in the config is reported when the model is built
            CMIDPretrained(**_arguments(init_cfg))
            self.init_weights = InitWeights(self)

    __init__._cmid_patched = True
    BaseModule.__init__ = __init__


def _arguments(init_cfg: dict) -> dict:
    return {key: value for key, value in init_cfg.items() if key != 'type'}


def _needs_initialization(module: nn.Module, match: Match) -> bool:
    """Whether tensors besides norms and counters are missing; those have usable defaults."""
    fresh = {*match.missing, *match.fresh, *match.misfits}
    fresh &= {name for name, _ in module.named_parameters()}
    return any(not STAGE_NORM.match(key) for key in fresh)


patch_base_module()

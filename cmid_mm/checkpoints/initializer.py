"""``init_cfg=dict(type='CMIDPretrained', checkpoint=...)`` for any backbone."""
import difflib
import functools
import inspect
import logging
import re

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.model.weight_init import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from .backbone import ENCODERS
from .backbone_file import BackboneFile, read_backbone_file
from .normalisation import check_normalisation, running_config
from .state import STAGE_NORM, Match, match_weights
from .refusal import refusal


@WEIGHT_INITIALIZERS.register_module()
class CMIDPretrained:
    """Load a backbone, say what was loaded, and refuse what does not fit.

    The report counts tensors that matched, are missing, unexpected and reshaped, and
    compares the file's normalisation with that of the running config. Tensors that no
    pre-training has (norms of inner stages, counters) and parts that the model leaves off
    (later stages, the last norm, heads) do not count.

    Args:
        checkpoint (str): See ``read_backbone_file``.
        encoder (str, optional): ``'student'`` or ``'teacher'``. Defaults to None: the
            student of a training checkpoint, whichever an exported file holds.
        prefix (str, optional): What the backbone's keys in the file begin with. Defaults
            to None: found out.
        map_location (str | torch.device): Where the file is read to. Defaults to 'cpu'.
        min_match (float): Smallest share, from 0 to 1, of the model's tensors that must
            be filled, and of the file's that must be used. Defaults to 1.
        allow_missing (str | Sequence[str]): Regular expressions of tensors of the model
            that may stay fresh. Defaults to ().

    Raises:
        ValueError: An argument is unknown or out of range; when called: the file does not
            fit, in one line with the likely cure.
    """

    def __init__(self, checkpoint=None, encoder=None, prefix=None, map_location='cpu',
                 min_match=1., allow_missing=(), **unknown):
        for name in unknown:
            raise ValueError(f'CMIDPretrained has no argument {name!r}{_suggestion(name)}')
        if not isinstance(checkpoint, str) or not checkpoint:
            raise ValueError(f'checkpoint={checkpoint!r}: CMIDPretrained needs the path of a '
                             'file, init_cfg=dict(type="CMIDPretrained", checkpoint="...")')
        if encoder not in (None, *ENCODERS):
            raise ValueError(f'encoder must be one of {tuple(ENCODERS)}, not {encoder!r}')
        if not 0 <= min_match <= 1:
            raise ValueError(f'min_match={min_match} is a share and lies between 0 and 1')
        patterns = (allow_missing, ) if isinstance(allow_missing, str) else tuple(allow_missing)
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f'allow_missing: {pattern!r} is no regular expression '
                                 f'({error})') from error
        self.checkpoint = checkpoint
        self.encoder = encoder
        self.prefix = prefix
        self.map_location = map_location
        self.min_match = min_match
        self.allow_missing = patterns

    def __call__(self, module: nn.Module) -> None:
        """Fill ``module``."""
        file, match = self.match(module)
        self.fill(module, file, match)

    def match(self, module: nn.Module) -> tuple[BackboneFile, Match]:
        """Read the file and hold it against ``module``, which stays as it is."""
        file = read_backbone_file(
            self.checkpoint, self.encoder, self.prefix, self.map_location or 'cpu')
        match = match_weights(module, file.tensors, self.allow_missing)
        if match.share < self.min_match:
            raise ValueError(
                'CMIDPretrained: ' + refusal(module, file, match, self.min_match))
        return file, match

    @torch.no_grad()
    def fill(self, module: nn.Module, file: BackboneFile, match: Match) -> None:
        """Copy what matched into ``module`` and report."""
        own = module.state_dict()
        for key, value in match.tensors.items():
            own[key].copy_(value)
        verdict = check_normalisation(file.meta, running_config())
        complete = not (match.missing or match.misfits or match.unexpected)
        report = f'CMIDPretrained: {file}: {match}'
        if verdict.agrees is not False:
            report += f'; {verdict.text}'
        print_log(report, 'current', logging.INFO if complete else logging.WARNING)
        if verdict.agrees is False:
            print_log(f'CMIDPretrained: {verdict.text}', 'current', logging.WARNING)
        if file.meta.get('encoder') and getattr(module, 'style', None) == 'caffe':
            print_log("CMIDPretrained: style='caffe' has strides elsewhere than in pre-training, "
                      "which no tensor shows: set style='pytorch' in the backbone", 'current',
                      logging.WARNING)


class InitWeights:
    """Stands in for ``module.init_weights`` where ``init_cfg`` is a ``CMIDPretrained``.

    An object and no closure, so that a deep copy of the module (as an EMA makes) has one
    that acts on the copy, and so that the module can be pickled.

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
            self._from_scratch()
        initializer.fill(module, file, match)
        module.is_init = True
        # exists while a parent keeps book of who initialised what
        if hasattr(module, '_params_init_info'):
            update_init_info(module, f'CMIDPretrained: {file}')
        return None

    def _from_scratch(self) -> None:
        module = self.module
        init_cfg, module.init_cfg = module.init_cfg, None
        try:
            type(module).init_weights(module)
        finally:
            module.init_cfg = init_cfg


def names_cmid_pretrained(init_cfg) -> bool:
    """Whether an ``init_cfg`` asks for ``CMIDPretrained``.

    Raises:
        ValueError: It does so in a list.
    """
    if isinstance(init_cfg, (list, tuple)):
        if any(names_cmid_pretrained(item) for item in init_cfg):
            raise ValueError('init_cfg is a list that holds a CMIDPretrained: give that dict '
                             'alone; what it leaves fresh is initialised as from scratch')
        return False
    return isinstance(init_cfg, dict) and init_cfg.get('type') in (
        'CMIDPretrained', 'mmengine.CMIDPretrained', CMIDPretrained)


def teach_base_module() -> None:
    """Let every mm module understand ``CMIDPretrained``; a second call does nothing.

    A registered initializer alone is not enough: ``BaseModule.init_weights`` runs all but
    its own ``Pretrained`` before the children initialise themselves, who would overwrite
    what was loaded; the Swin transformers of mmseg and mmdet and mmseg's ViT load by
    themselves and call no initializer; mmpretrain's ViT draws its positions anew after
    everything but ``Pretrained``. So a module that is made with such an ``init_cfg`` gets
    an ``init_weights`` of its own. Nothing changes for any other.
    """
    original = BaseModule.__init__
    if hasattr(original, 'knows_cmid_pretrained'):
        return

    @functools.wraps(original)
    def __init__(self, init_cfg=None):
        original(self, init_cfg)
        if names_cmid_pretrained(init_cfg):
            # a mistake in the config is told when the model is built
            CMIDPretrained(**_arguments(init_cfg))
            self.init_weights = InitWeights(self)

    __init__.knows_cmid_pretrained = True
    BaseModule.__init__ = __init__


def _arguments(init_cfg: dict) -> dict:
    return {key: value for key, value in init_cfg.items() if key != 'type'}


def _needs_initialization(module: nn.Module, match: Match) -> bool:
    """Whether more stays fresh than norms and counters, which are made ready for use."""
    fresh = set(match.missing + match.fresh) | {key.split()[0] for key in match.misfits}
    fresh &= {name for name, _ in module.named_parameters()}
    return any(not STAGE_NORM.match(key) for key in fresh)


def _suggestion(name: str) -> str:
    known = list(inspect.signature(CMIDPretrained).parameters)[:-1]
    close = difflib.get_close_matches(name, known, 1)
    return f': did you mean {close[0]!r}?' if close else f'; it has {", ".join(known)}'


teach_base_module()

"""Comparison of state dicts: by name and shape, or as the weights of a backbone."""
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .adapt import adapt
from .architectures import FINAL_NORM, STAGE, STAGE_NORM, SYNONYMS, describe
from .backbone import BackboneFile

# Computed by every model from its own sizes; never read from a file.
RECOMPUTED = re.compile(r'(relative_position_index|relative_coords_table|attn_mask)$')
# Tensors of other tasks and of the pre-training beside those of a backbone.
NO_BACKBONE = re.compile(r'^(?:(head|fc|classifier)\.|(cls|mask)_token$)')


@dataclass
class Match:
    """Result of a comparison; keys are the model's.

    Attributes:
        tensors (dict[str, Tensor]): Tensors of the file, in the model's shapes.
        missing (list[str]): Tensors of the model that the file lacks.
        unexpected (list[str]): Tensors of the file that the model lacks.
        misfits (dict[str, str]): Tensor of both -> reason why that of the file does not fit.
        reshaped (dict[str, list[str]]): Kind of change -> tensors that were changed to fit.
        fresh (list[str]): Missing tensors that the architecture or the user allows to be missing.
        left_off (list[str]): Tensors of the file for parts that this model does not have.
    """
    tensors: dict[str, Tensor] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misfits: dict[str, str] = field(default_factory=dict)
    reshaped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    fresh: list[str] = field(default_factory=list)
    left_off: list[str] = field(default_factory=list)

    @property
    def wanted(self) -> int:
        """Number of tensors of the model that are compared."""
        return len(self.tensors) + len(self.missing) + len(self.misfits)

    @property
    def offered(self) -> int:
        """Number of tensors of the file that are compared."""
        return len(self.tensors) + len(self.unexpected) + len(self.misfits)

    @property
    def share(self) -> float:
        """Matched tensors, as a share of the model's or of the file's, whichever is smaller."""
        return len(self.tensors) / max(self.wanted, self.offered, 1)

    @property
    def differences(self) -> str:
        """Numbers and examples of the tensors that do not match; '' where all match."""
        misfits = [f'{key} {reason}' for key, reason in self.misfits.items()]
        return ', '.join(
            f'{len(keys)} {title} ({_examples(keys)})' for title, keys in (
                ('missing', self.missing), ('unexpected', self.unexpected),
                ('of other shapes, file -> model', misfits)) if keys)

    def __str__(self) -> str:
        text = (f'{len(self.tensors)} of {self.wanted} tensors matched, '
                f'{len(self.missing)} missing, {len(self.unexpected)} unexpected, '
                f'{sum(map(len, self.reshaped.values()))} reshaped')
        if self.reshaped:
            text += ' ({})'.format(', '.join(
                f'{kind}: {len(keys)}' for kind, keys in self.reshaped.items()))
        if self.misfits:
            text += f', {len(self.misfits)} of other shapes'
        for title, keys in (('fresh as expected', self.fresh),
                            ('not used by this model', self.left_off)):
            if keys:
                text += f'; {title}: {", ".join(groups_of(keys))}'
        return text


def compare_states(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Match:
    """Compare by names and shapes.

    Args:
        own (Mapping[str, Tensor]): State dict of the model.
        found (Mapping[str, Tensor]): State dict of the file; a prefix ``module.`` is ignored.
    """
    found = {key.removeprefix('module.'): value for key, value in found.items()}
    match = Match(missing=[key for key in own if key not in found],
                  unexpected=[key for key in found if key not in own])
    for key, value in own.items():
        if key not in found:
            continue
        if found[key].shape == value.shape:
            match.tensors[key] = found[key]
        else:
            match.misfits[key] = f'{tuple(found[key].shape)} -> {tuple(value.shape)}'
    return match


def match_backbone(module: nn.Module, tensors: Mapping[str, Tensor],
                   allow_missing: tuple[str, ...] = ()) -> Match:
    """Compare a backbone with the weights in a file, and adapt these where possible.

    Args:
        module (nn.Module): The backbone; not changed.
        tensors (Mapping[str, Tensor]): Tensors of the file, see ``BackboneFile``.
        allow_missing (tuple[str, ...]): Regular expressions (``re.search``) of tensors of
            the model that the file may lack.
    """
    own = module.state_dict()
    tensors = {_synonym(key, own): value for key, value in tensors.items()}
    last_stage = max((int(found[1]) for found in map(STAGE.match, own) if found), default=-1)
    allowed = {key for key in own if any(re.search(pattern, key) for pattern in allow_missing)}

    exact = compare_states(own, tensors)
    match = Match()
    for key, value in exact.tensors.items():
        if not RECOMPUTED.search(key):
            match.tensors[key] = value
        elif not torch.equal(value.to(own[key]), own[key]):
            match.misfits[key] = '(another order of positions)'
    for key, reason in exact.misfits.items():
        if RECOMPUTED.search(key):
            continue
        adapted = adapt(module, key, tensors[key], own[key])
        if adapted:
            kind, match.tensors[key] = adapted
            match.reshaped[kind].append(key)
        elif key in allowed:
            match.fresh.append(key)
        else:
            match.misfits[key] = reason
    for key in exact.missing:
        if not RECOMPUTED.search(key) and not _is_counter(key, tensors):
            expected = key in allowed or _stays_fresh(key, tensors, last_stage)
            (match.fresh if expected else match.missing).append(key)
    for key in exact.unexpected:
        if not RECOMPUTED.search(key) and not _is_counter(key, own):
            left_off = _is_left_off(key, own, last_stage)
            (match.left_off if left_off else match.unexpected).append(key)
    return match


def incompatible(module: nn.Module, file: BackboneFile, match: Match, min_match: float) -> str:
    """Error message for an incompatible checkpoint, with a suggested fix.

    Args:
        module (nn.Module): The backbone.
        file (BackboneFile): The file.
        match (Match): Result of the comparison.
        min_match (float): The required share.
    """
    # several frameworks have classes of the same name
    name = f'{type(module).__module__.split(".")[0]} {type(module).__name__}'
    return (f'{file} does not fit {name}: {len(match.tensors)} of {match.wanted} tensors of '
            f'the model filled, {len(match.tensors)} of {match.offered} of the file used, '
            f'min_match={min_match:g}; {match.differences}; '
            f'{_suggest(module.state_dict(), file, match)}')


def groups_of(keys: list[str]) -> list[str]:
    """The parts of a backbone that tensors belong to, as ``layer4`` or ``stages.3``."""
    stems = (re.match(r'(?:[a-z_]+\.\d+|[^.]+)', key)[0] for key in keys)
    return list(dict.fromkeys(stems))


def _examples(keys: list[str], most: int = 3) -> str:
    return ', '.join(keys[:most]) + (', ...' if len(keys) > most else '')


def _synonym(key: str, own: Mapping) -> str:
    if key not in own:
        for pair in SYNONYMS:
            for here, there in (pair, pair[::-1]):
                if key.replace(here, there) in own:
                    return key.replace(here, there)
    return key


def _is_counter(key: str, others: Mapping) -> bool:
    """Whether a key is the counter of a batch norm that the other side has."""
    norm = key.removesuffix('num_batches_tracked')
    return norm != key and f'{norm}running_mean' in others


def _stays_fresh(key: str, tensors: Mapping, last_stage: int) -> bool:
    if key == 'cls_token':
        return 'pos_embed' in tensors  # pre-training without a class token
    # A pre-training that returns only the last map has no norms of earlier stages.
    norm = STAGE_NORM.match(key)
    return norm is not None and int(norm[1]) < last_stage


def _is_left_off(key: str, own: Mapping, last_stage: int) -> bool:
    if NO_BACKBONE.search(key):
        return True
    norm = STAGE_NORM.match(key) or FINAL_NORM.match(key)
    if norm:
        return not any(name.startswith(norm[0]) for name in own)
    stage = STAGE.match(key)
    # Swin's last stage has no downsampling at its end.
    return last_stage >= 0 and stage is not None and (
        int(stage[1]) > last_stage or key.startswith(f'stages.{last_stage}.downsample.'))


def _suggest(own: Mapping, file: BackboneFile, match: Match) -> str:
    here, there = describe(file.tensors), describe(own)
    if not match.tensors and not match.misfits and not (here and there):
        return _suggest_prefix(own, file)
    if here and there and here != there:
        kinds = [name.split('-')[0].split('/')[0] for name in (here, there)]
        use = "give the backbone the file's type and settings"
        if kinds[0] != kinds[1] and all(kind.startswith('ResNet') for kind in kinds):
            use = f"use type={kinds[0]!r} with the file's settings"
        return f'the file is a {here}, the model a {there}: {use}, or use another file'
    if match.unexpected == ['patch_embed.projection.bias']:
        return 'set patch_bias=True in the backbone'
    return ('use a file of this architecture, or name what may stay fresh in '
            'allow_missing=[...], or lower min_match')


def _suggest_prefix(own: Mapping, file: BackboneFile) -> str:
    """Suggest a fix where no tensor has a name of the model's."""
    if any(key.startswith('online_encoder.') for key in file.tensors):
        return ('the file is one of the published code: convert it with '
                'tools/model_converters/convert_published.py first')
    if file.meta.get('format', 'mm') != 'mm':
        return (f'the file was exported under the names of {file.meta["format"]}: export '
                'the training checkpoint again without --format')
    if any(f'backbone.{key}' in own for key in file.tensors):
        return 'no common key: the init_cfg belongs into the backbone, model.backbone.init_cfg'
    # the shortest prefix whose rest is a name of the model
    prefixes = [key[:dot.end()] for key in file.tensors for dot in re.finditer(r'\.', key)
                if key[dot.end():] in own]
    if prefixes:
        return f'no common key: the backbone seems to be under prefix={prefixes[0]!r}'
    return (f'no common key: the file has {_examples(groups_of(file.tensors), 5)}, the model '
            f'needs {_examples(groups_of(own), 5)}: use the checkpoint of such a backbone, '
            'or give its prefix=...')

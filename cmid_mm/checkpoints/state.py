"""Which tensor of a file belongs to which tensor of a backbone."""
import re
from collections import defaultdict
from dataclasses import dataclass, field

import torch
from torch import nn

from .adapt import adapt

# Made anew by every model from its own sizes; never taken from a file.
RECOMPUTED = re.compile(r'(relative_position_index|relative_coords_table|attn_mask)$')
COUNTER = re.compile(r'num_batches_tracked$')
# What pre-training or another task hangs behind or in front of a backbone.
NO_BACKBONE = re.compile(r'^(head|fc|classifier)\.|^mask_token$')
STAGE = re.compile(r'^(?:layer|stages\.|downsample_layers\.)(\d+)\.')
STAGE_NORM = re.compile(r'^norm(\d+)\.')
FINAL_NORM = re.compile(r'^(ln1|ln2|norm)\.')
# The same tensors by mmpretrain's and by mmseg's VisionTransformer.
SYNONYMS = (
    ('.attn.qkv.weight', '.attn.attn.in_proj_weight'),
    ('.attn.qkv.bias', '.attn.attn.in_proj_bias'),
    ('.attn.proj.', '.attn.attn.out_proj.'),
)


@dataclass
class Match:
    """A file beside a backbone; keys are the backbone's.

    Attributes:
        tensors (dict[str, torch.Tensor]): What to fill in, in the model's shapes.
        missing (list[str]): Tensors of the model that the file lacks.
        unexpected (list[str]): Tensors of the file that the model lacks.
        misfits (list[str]): Tensors of both whose shapes differ beyond repair.
        reshaped (dict[str, list[str]]): What was done -> tensors it was done to.
        fresh (list[str]): Missing, as the architecture or the user lets expect.
        left_off (list[str]): Of the file's, for parts that this model does without.
    """
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misfits: list[str] = field(default_factory=list)
    reshaped: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    fresh: list[str] = field(default_factory=list)
    left_off: list[str] = field(default_factory=list)

    @property
    def wanted(self) -> int:
        """How many tensors of the model count."""
        return len(self.tensors) + len(self.missing) + len(self.misfits)

    @property
    def offered(self) -> int:
        """How many tensors of the file count."""
        return len(self.tensors) + len(self.unexpected) + len(self.misfits)

    @property
    def share(self) -> float:
        """The smaller of the shares of the model and of the file that found each other."""
        return len(self.tensors) / max(self.wanted, self.offered, 1)

    def __str__(self) -> str:
        reshaped = sum(map(len, self.reshaped.values()))
        text = (f'{len(self.tensors)} of {self.wanted} tensors matched, '
                f'{len(self.missing)} missing, {len(self.unexpected)} unexpected, '
                f'{reshaped} reshaped')
        if self.reshaped:
            kinds = (f'{kind}: {len(keys)}' for kind, keys in self.reshaped.items())
            text += f' ({", ".join(kinds)})'
        if self.misfits:
            text += f', {len(self.misfits)} of other shapes'
        for title, keys in (('fresh as expected', self.fresh),
                            ('not used by this model', self.left_off)):
            if keys:
                text += f'; {title}: {", ".join(groups_of(keys))}'
        return text


def match_weights(module: nn.Module, tensors: dict[str, torch.Tensor],
                  allow_missing: tuple[str, ...] = ()) -> Match:
    """Find for every tensor of a backbone its tensor in a file.

    Args:
        module (nn.Module): The backbone; not changed.
        tensors (dict[str, torch.Tensor]): Of the file, see ``BackboneFile``.
        allow_missing (tuple[str]): Regular expressions (``re.search``) of tensors of the
            model that may stay as they are.
    """
    own = module.state_dict()
    tensors = {_synonym(key, own): value for key, value in tensors.items()}
    last_stage = _last_stage(own)
    match = Match()
    for key, value in own.items():
        allowed = any(re.search(pattern, key) for pattern in allow_missing)
        if RECOMPUTED.search(key):
            if _other_order(value, tensors.get(key)):
                match.misfits.append(f'{key} (another order of positions)')
        elif key not in tensors and _is_counter(key, tensors):
            continue
        elif key not in tensors:
            expected = allowed or _stays_fresh(key, tensors, last_stage)
            (match.fresh if expected else match.missing).append(key)
        else:
            found = tensors[key]
            adapted = ((None, found) if found.shape == value.shape
                       else adapt(module, key, found, value))
            if adapted is not None:
                match.tensors[key] = adapted[1]
                if adapted[0]:
                    match.reshaped[adapted[0]].append(key)
            elif allowed:
                match.fresh.append(key)
            else:
                match.misfits.append(f'{key} {tuple(found.shape)} -> {tuple(value.shape)}')
    for key in tensors:
        if key not in own and not RECOMPUTED.search(key) and not _is_counter(key, own):
            left_off = _is_left_off(key, own, last_stage)
            (match.left_off if left_off else match.unexpected).append(key)
    return match


def groups_of(keys: list[str]) -> list[str]:
    """The parts of a backbone that tensors belong to, as ``layer4`` or ``stages.3``."""
    stems = (re.match(r'(?:[a-z_]+\.\d+|[^.]+)', key)[0] for key in keys)
    return list(dict.fromkeys(stems))


def _synonym(key: str, own: dict) -> str:
    if key not in own:
        for pair in SYNONYMS:
            for here, there in (pair, pair[::-1]):
                if key.replace(here, there) in own:
                    return key.replace(here, there)
    return key


def _last_stage(own: dict) -> int | None:
    stages = [int(found[1]) for found in map(STAGE.match, own) if found]
    return max(stages, default=None)


def _other_order(own: torch.Tensor, found: torch.Tensor | None) -> bool:
    return (found is not None and found.shape == own.shape
            and not torch.equal(found.to(own), own))


def _is_counter(key: str, others: dict) -> bool:
    """Whether a key is the counter of a batch norm that the other side has."""
    return COUNTER.sub('running_mean', key) in others if COUNTER.search(key) else False


def _stays_fresh(key: str, tensors: dict, last_stage: int | None) -> bool:
    if key == 'cls_token':
        return 'pos_embed' in tensors  # pre-training without a class token
    # Pre-training that returns the last map only has no norms of the stages before.
    norm = STAGE_NORM.match(key)
    return norm is not None and last_stage is not None and int(norm[1]) < last_stage


def _is_left_off(key: str, own: dict, last_stage: int | None) -> bool:
    if NO_BACKBONE.search(key) or key == 'cls_token':
        return True
    norm = STAGE_NORM.match(key) or FINAL_NORM.match(key)
    if norm:
        return not any(name.startswith(norm[0]) for name in own)
    stage = STAGE.match(key)
    if stage is None or last_stage is None:
        return False
    # Swin's last stage has no downsampling behind it.
    behind = key.startswith(f'stages.{last_stage}.downsample.')
    return behind or int(stage[1]) > last_stage

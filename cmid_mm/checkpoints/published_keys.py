"""Names of tensors in the published checkpoints and here.

Source: the list of keys in tests/golden/checkpoints, from the published files.
"""
from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor

from ..utils.errors import CMIDError

# (published, here) in the order of the published file; a name that ends in a dot is the
# prefix of a module, any other is one tensor
PLACES = (
    ('queue', 'global_head.queue'),
    ('queue_ptr', 'global_head.queue_ptr'),
    ('online_encoder.mask_token', 'mask_token'),
    ('online_encoder.model.', 'backbone.'),
    ('branch_encoder.', 'teacher.backbone.'),
    ('mim2org.decoder_pred.0.', 'decoder.project.'),
    ('online_projector.', 'global_projector.'),
    ('branch_projector.', 'teacher.global_projector.'),
    ('class_projector.', 'dense_projector.'),
    ('branch_class_projector.', 'teacher.dense_projector.'),
    ('class_loss.center', 'local_head.center'),
)
# the same inside the projectors
PARTS = (
    ('layer.0.0.', 'hidden.'),
    ('layer.0.1.', 'norm.'),
    ('layer.0.3.', 'out.'),
    ('last_layer.', 'prototypes.'),
)
# A published projector with a single layer is not a sequence; here it is a sequence of one.
SINGLE_LAYER = (('mlp.weight', 'mlp.0.weight'), ('mlp.bias', 'mlp.0.bias'))
# a published file does not contain the statistics of the images
NOT_PUBLISHED = ('data_preprocessor.mean', 'data_preprocessor.std')


def convert_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert the state dict of a published pre-training file to this project's names.

    Args:
        state (dict[str, Tensor]): Field ``model`` of the file.

    Raises:
        CMIDError: A key does not belong to a published checkpoint.
    """
    converted = {from_published(key): value for key, value in state.items()}
    return _with_transposed(converted, 'global_head.queue')


def from_published(key: str) -> str:
    """This project's name of a published key.

    Raises:
        CMIDError: It does not belong to a published checkpoint.
    """
    for theirs, ours in PLACES:
        if _covers(theirs, key):
            rest = key[len(theirs):]
            return ours + (part_from_published(rest) if 'projector.' in theirs else rest)
    raise CMIDError(f'{key} is no key of a published CMID checkpoint')


def part_from_published(key: str) -> str:
    """The same for a name inside a projector, without its prefix."""
    return _renamed(key, PARTS + SINGLE_LAYER)


def to_published(state: dict[str, Tensor]) -> OrderedDict:
    """Convert the state dict of ``CMID`` to published names, layouts and order.

    Args:
        state (dict[str, Tensor]): State of a model here; the data preprocessor's mean and
            std, which published files lack, are left out.

    Raises:
        CMIDError: A key has no place in a published file.
    """
    state = {key: value for key, value in state.items() if key not in NOT_PUBLISHED}
    converted = OrderedDict()
    for theirs, ours in PLACES:
        keys = [key for key in state if _covers(ours, key)]
        single = all(key.startswith(f'{ours}mlp.0.') for key in keys
                     if key.startswith(f'{ours}mlp.'))
        parts = [pair[::-1] for pair in PARTS + SINGLE_LAYER * single]
        for key in keys:
            rest = key[len(ours):]
            rest = _renamed(rest, parts) if 'projector.' in theirs else rest
            converted[theirs + rest] = state.pop(key)
    if state:
        raise CMIDError(f'{len(state)} tensors have no place in a published CMID '
                        f'checkpoint, e.g. {next(iter(state))}')
    return _with_transposed(converted, 'queue')


def _covers(place: str, key: str) -> bool:
    """Whether an entry of ``PLACES`` is about a key."""
    return key.startswith(place) if place.endswith('.') else key == place


def _renamed(key: str, pairs: Sequence) -> str:
    """Replace the beginning of a key by the first of the pairs (old, new) that fits."""
    return next((new + key[len(old):] for old, new in pairs if key.startswith(old)), key)


def _with_transposed(state: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    """Transpose the queue: published queues have one scene per column, ours one per row."""
    if key in state:
        state[key] = state[key].t().contiguous()
    return state

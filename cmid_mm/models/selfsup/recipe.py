"""Settings that depend on the amount of data: what 'auto' in a config means."""
import math
from dataclasses import asdict, dataclass

from torch import Tensor

from cmid_mm.utils.errors import CMIDError

AUTO = 'auto'
# The published run: https://arxiv.org/abs/2304.09670, MillionAID, 200 epochs.
_IMAGES = 1_000_000
_PROTOTYPES, _QUEUE = 2048, 65_536
# Below this number the temperatures of small data sets apply, from the other on the published.
_FEW, _MANY = 20_000, 500_000
_SHORT, _LONG = 10_000, 100_000


@dataclass(frozen=True)
class Recipe:
    """Settings of a pre-training; the names are those of the config.

    Attributes:
        num_prototypes (int): Of the dense projector and the local head.
        queue_size (int): Keys of the global head's queue.
        start (float): Temperature of ``CMIDTeacherTemperatureHook`` at the start.
        end (float): The same at the end of its rise.
        warmup_epochs (int): Epochs of the rise.
        base_momentum (float): Of ``CMIDTeacherMomentumHook``.
        warmup (float): Epochs of the learning rate's warm-up, of ``CMIDCosineLR``.
    """
    num_prototypes: int
    queue_size: int
    start: float
    end: float
    warmup_epochs: int
    base_momentum: float
    warmup: float


def choose_recipe(images: int, epochs: float, batch: int) -> Recipe:
    r"""Settings for an amount of data; with a million images and 200 epochs the published ones.

    With N images, E epochs of N/B steps, T steps in all:

    - prototypes: :math:`2048\,(N/10^6)^{1/4}` and queue :math:`65536\,(N/10^6)^{1/2}`, the
      nearest powers of two, at most the published ones; the queue at most N - B, so that
      it does not hold a key of an image of the batch twice.
    - temperature of the teacher: 0.02 rising to 0.03 up to 20,000 images, 0.04 to 0.07 from
      500,000 on, between them linear in log N; over a quarter of the epochs, at most 50.
    - momentum of the teacher at the start: 0.99 up to 10,000 steps, 0.996 from 100,000 on,
      between them linear in log T.
    - warm-up of the rate: a twentieth of the epochs, at most 10.

    docs/pretraining.md has the table and the sources.

    Args:
        images (int): N.
        epochs (float): E.
        batch (int): B, images of one optimiser step on all processes.
    """
    share = min(1., images / _IMAGES)
    many = _position(images, _FEW, _MANY)
    long = _position(epochs * (images // batch), _SHORT, _LONG)
    queue = 2**round(math.log2(_QUEUE * share**0.5))
    return Recipe(
        num_prototypes=2**round(math.log2(_PROTOTYPES * share**0.25)),
        queue_size=max(1, min(queue, images - batch)),
        start=round(0.02 + 0.02 * many, 4),
        end=round(0.03 + 0.04 * many, 4),
        warmup_epochs=min(50, max(1, round(epochs / 4))),
        base_momentum=round(0.99 + 0.006 * long, 4),
        warmup=min(10., epochs / 20))


def _position(value: float, low: float, high: float) -> float:
    """Place of a value between two others on a logarithmic scale, in [0, 1]."""
    place = math.log(max(value, 1) / low) / math.log(high / low)
    return min(1., max(0., place))


def sizes_in(state: dict[str, Tensor]) -> dict[str, int]:
    """Sizes of a checkpoint's state dict that a config may leave to ``'auto'``."""
    sizes = {}
    if 'local_head.center' in state:
        sizes['num_prototypes'] = state['local_head.center'].shape[1]
    if 'global_head.queue' in state:
        sizes['queue_size'] = len(state['global_head.queue'])
    return sizes


def auto_keys(node) -> set[str]:
    """Names of the settings of a recipe that are ``'auto'`` anywhere in a config."""
    names = set(Recipe.__dataclass_fields__)
    return {key for mapping in _mappings(node) for key, value in mapping.items()
            if key in names and _is_auto(value)}


def fill_auto(node, values: Recipe | dict) -> None:
    """Replace ``'auto'`` by the values of a recipe everywhere in a config, in place.

    Args:
        node (Config | dict | list): A config, or parts of it.
        values (Recipe | dict): Values by the names of ``Recipe``; others stay ``'auto'``.
    """
    values = asdict(values) if isinstance(values, Recipe) else values
    for mapping in list(_mappings(node)):
        for key, value in values.items():
            if _is_auto(mapping.get(key)):
                mapping[key] = value


def refuse_auto(owner: str, **settings) -> None:
    """Raise CMIDError where a setting is still ``'auto'`` when it is used."""
    names = sorted(auto_keys(settings))
    if names:
        raise CMIDError(
            f"{owner} has {names[0]}='auto', which CMIDRunner replaces by a value for the number "
            "of images: set runner_type = 'CMIDRunner' in the config, or give a number")


def _is_auto(value) -> bool:
    # an array compares by element
    return isinstance(value, str) and value == AUTO


def _mappings(node):
    """All mappings inside a config."""
    if hasattr(node, 'items'):
        yield node
        children = [value for _, value in node.items()]
    else:
        children = node if isinstance(node, (list, tuple)) else ()
    for child in children:
        yield from _mappings(child)

"""Scene classes by name."""
from collections.abc import Callable
from typing import NamedTuple


class Layout(NamedTuple):
    """A scene class.

    Args:
        draw: function that fills a ``Plan``.
        gsd: smallest and largest ground sampling distance, metres per pixel.
    """

    draw: Callable
    gsd: tuple


#: Scene classes in the order of their ids.
LAYOUTS = {}


def layout(name, gsd):
    """Register a function ``draw(plan)`` as the scene class ``name``."""
    def register(draw):
        LAYOUTS[name] = Layout(draw, gsd)
        return draw
    return register

"""Queries beside the scenes that were found for them."""
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .grid import save_grid
from .panels import to_rgb

_ROWS = 12


def save_retrieval(queries: Sequence[str], answers: Sequence, read: Callable,
                   out: str) -> None:
    """A row a query: the query, then what was found, with folder and similarity above.

    Args:
        queries (Sequence[str]): Images; the first twelve are shown.
        answers (Sequence[list[tuple[str, float]]]): Path and similarity of what was found.
        read (Callable): From a path to the image, (H, W, bands) uint8.
        out (str): File to write, PNG by its ending.
    """
    columns = 1 + max(len(found) for found in answers)
    panels, captions = [], []
    for query, found in list(zip(queries, answers))[:_ROWS]:
        row = [to_rgb(read(path)) for path in (query, *(path for path, _ in found))]
        blank = np.full_like(row[0], 255)
        panels.append(row + [blank] * (columns - len(row)))
        texts = [(f'query: {_name(query)}', 'tab:blue')]
        texts += [(f'{similarity:.2f} {_name(path)}', 'black') for path, similarity in found]
        captions.append(texts + [('', 'black')] * (columns - len(row)))
    save_grid(panels, out, captions=captions)


def _name(path: str) -> str:
    """The folder, which often names the class."""
    return Path(path).parent.name

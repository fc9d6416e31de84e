"""Warnings about a training whose representation collapses."""
import math

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch import Tensor

from cmid_mm.models.selfsup.cell_matching import take_cells
from cmid_mm.utils.precision import widen

_ALERTS = 'collapse_alerts'


@HOOKS.register_module()
class CollapseWatchHook(Hook):
    """Logs five numbers at regular steps, and warns when they show a collapse.

    - ``feature_spread`` of the teacher's scene vectors, 0..1; near 0 all are the same.
    - ``teacher_entropy`` of a cell's assignment to prototypes, 0..1; 1 is uniform.
    - ``prototype_usage``, entropy of all assignments together, 0..1; 0 is one prototype.
    - ``queue_fresh``, share of the queue that holds keys of this run and not initial noise.
    - ``match_distance`` of matched cells, in cells; from 1 on they do not overlap.

    They are computed from the first process's share of one batch. A warning is logged once, when
    a number was beyond its bound at ``patience`` consecutive checks.

    Args:
        interval (int): Steps between two checks. Defaults to 50.
        patience (int): Consecutive checks before a warning. Defaults to 5.
        min_spread (float): Bound of ``feature_spread``. Defaults to 0.05.
        max_entropy (float): Bound of ``teacher_entropy``. Defaults to 0.999.
        min_usage (float): Bound of ``prototype_usage``. Defaults to 0.05.
        max_distance (float): Bound of ``match_distance``. Defaults to 1.5.
    """

    def __init__(self,
                 interval: int = 50,
                 patience: int = 5,
                 min_spread: float = 0.05,
                 max_entropy: float = 0.999,
                 min_usage: float = 0.05,
                 max_distance: float = 1.5):
        self.interval = interval
        self.patience = patience
        self.rules = dict(
            feature_spread=(lambda x: x < min_spread, 'teacher features are close to equal: '
                            'lower the learning rate, or check that the images differ'),
            teacher_entropy=(lambda x: x > max_entropy, 'teacher assignments are close to '
                             'uniform: train longer, or lower the teacher\'s temperature'),
            prototype_usage=(lambda x: x < min_usage, 'almost all cells have the same prototype: '
                             'raise the teacher\'s temperature, or lower center_momentum'),
            match_distance=(lambda x: x > max_distance, 'matched cells do not overlap: the '
                            'views share too little, raise the area of CMIDTwoViews'))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if not self.every_n_train_iters(runner, self.interval):
            return
        model = get_ori_model(runner.model)
        values = {name: float(value) for name, value in watched(model).items()}
        keys = 2 * (runner.iter + 1) * runner.train_dataloader.batch_size * get_world_size()
        values['queue_fresh'] = min(1., keys / len(model.global_head.queue))
        for name, value in values.items():
            runner.message_hub.update_scalar(f'train/{name}', value)
        self.warn(runner, values)

    def warn(self, runner, values: dict) -> None:
        """Count checks beyond the bounds; the counts are kept across a resume."""
        alerts = dict(runner.message_hub.runtime_info.get(_ALERTS, {}))
        for name, (beyond, meaning) in self.rules.items():
            alerts[name] = alerts.get(name, 0) + 1 if beyond(values[name]) else 0
            if alerts[name] == self.patience:
                runner.logger.warning(
                    f'{name} is {values[name]:.4g} at {self.patience} checks, '
                    f'{self.interval} steps apart: {meaning}')
        runner.message_hub.update_info(_ALERTS, alerts)


def watched(model) -> dict[str, Tensor]:
    """The numbers of the last batch, scalars on the device."""
    outputs = model.last_outputs
    entropies = [assignment_entropies(model.local_head.target(scores.float()))
                 for scores in outputs['scores']]
    grids = outputs['grids']
    distances = [match_distance(*pair, match) for pair, match in
                 zip((grids, grids[::-1]), outputs['matches'])]
    return dict(
        feature_spread=sum(feature_spread(keys) for keys in outputs['keys']) / 2,
        teacher_entropy=sum(single for single, _ in entropies) / 2,
        prototype_usage=sum(together for _, together in entropies) / 2,
        match_distance=sum(distances) / 2)


@torch.no_grad()
def feature_spread(vectors: Tensor) -> Tensor:
    r"""Spread of directions: 0 where all vectors are equal, near 1 where they are random.

    :math:`\sqrt{D}` times the standard deviation of unit vectors over the batch, mean over
    the dimensions; random unit vectors have about 1. Source: Chen and He, arXiv 2011.10566,
    section 4.1.

    Args:
        vectors (Tensor): (B, D), any length.

    Returns:
        Tensor: Scalar.
    """
    unit = F.normalize(widen(vectors), dim=1)
    return unit.std(0, unbiased=False).mean() * math.sqrt(unit.shape[1])


@torch.no_grad()
def assignment_entropies(probability: Tensor) -> tuple[Tensor, Tensor]:
    r"""Entropies of the teacher's assignment of cells to prototypes, as shares of log P.

    Source: the two ways of collapse in Caron et al., arXiv 2104.14294, section 5.3.

    Args:
        probability (Tensor): (B, P, M), sums to 1 over the prototypes.

    Returns:
        tuple[Tensor, Tensor]: Scalars in [0, 1]. Of a single cell, mean over cells: 1 is a
        uniform assignment. Of the mean over all cells: 0 is the same prototype for all.
    """
    largest = math.log(probability.shape[1])
    return (torch.special.entr(probability).sum(1).mean() / largest,
            torch.special.entr(probability.mean((0, 2))).sum() / largest)


@torch.no_grad()
def match_distance(source: Tensor, target: Tensor, match: tuple) -> Tensor:
    """Mean distance of matched cells, in cells of the source view.

    Args:
        source (Tensor): (B, n, m, 2), locations of the source cells.
        target (Tensor): (B, p, q, 2), locations of the target cells.
        match (tuple[Tensor, Tensor]): (B, M) flat indices of both, see ``match_cells``.

    Returns:
        Tensor: Scalar; below 1 where the matched cells overlap.
    """
    locations = [take_cells(grid.permute(0, 3, 1, 2), index)
                 for grid, index in zip((source, target), match)]
    cell = (source[:, 1, 0, 0] - source[:, 0, 0, 0]).abs()
    return ((locations[0] - locations[1]).norm(dim=1) / cell[:, None]).mean()

"""Scene classification by one linear layer on frozen features."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.device import get_device
from mmpretrain.registry import METRICS
from torch import Tensor

from ...utils.errors import CMIDError
from .feature_probe import FeatureProbe

_HELD_OUT_EVERY = 5
# relative rounding of float32; smaller variations of a feature are noise
_ROUNDING = 1e-6


@METRICS.register_module()
class LinearProbe(FeatureProbe):
    r"""Accuracy of multinomial logistic regression.

    The features are standardised by the gallery's mean and deviation. The weights minimise

    .. math:: \frac1N \sum_i -\log p(y_i \mid x_i) + \frac{\lambda}{2} \lVert W \rVert^2,

    the bias is free. :math:`\lambda` is the one of ``l2`` with the best accuracy on every
    fifth image of the gallery after a fit to the others, the strongest of equals; then the
    whole gallery is fitted. The queries are not used for it. Nothing is random. The fit runs
    on the accelerator where there is one.

    Args:
        l2 (Sequence[float]): Positive values of :math:`\lambda` to choose from. Defaults
            to (1, 0.1, 0.01, 0.001).
        **kwargs: Passed to ``FeatureProbe``. The prefix is 'linear' by default.

    Raises:
        CMIDError: There is no :math:`\lambda`, or one is not positive.
    """
    default_prefix = 'linear'

    def __init__(self, l2: Sequence[float] = (1., 0.1, 0.01, 0.001), **kwargs):
        super().__init__(**kwargs)
        self.l2 = check_l2(l2)

    def rank(self, gallery: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        """Fit the gallery and order the classes of the queries by their scores."""
        held_out = torch.arange(len(gallery)) % _HELD_OUT_EVERY == 0
        scores = fit_probe(gallery, labels, queries, self.l2, held_out, get_device())
        return scores.argsort(dim=1, descending=True, stable=True)


def check_l2(l2: Sequence[float]) -> list[float]:
    """Weights of the penalty from strong to weak, so that each fit starts near its solution.

    Raises:
        CMIDError: There is none, or one is not positive.
    """
    if not l2 or min(l2) <= 0:
        raise CMIDError(f'l2 needs at least one number, all positive, not {l2}')
    return sorted(l2, reverse=True)


def fit_probe(gallery: Tensor,
              labels: Tensor,
              queries: Tensor,
              l2: Sequence[float],
              held_out: Tensor,
              device: str = 'cpu') -> Tensor:
    """Scores of the queries by a layer that is fitted to the gallery; see ``LinearProbe``.

    Args:
        gallery (Tensor): (N, D) features.
        labels (Tensor): (N,) int64.
        queries (Tensor): (M, D) features.
        l2 (Sequence[float]): Weights of the penalty to choose from, from strong to weak.
        held_out (Tensor): (N,) bool, the part of the gallery on which the choice is made.
        device (str): Device of the fit.

    Returns:
        Tensor: (M, C) float32 on the CPU.
    """
    gallery, queries = rotate_to_principal_axes(
        *standardise(gallery.to(device), queries.to(device)))
    labels, held_out = labels.to(device), held_out.to(device)
    weight, bias = fit_logistic(gallery, labels, choose_l2(gallery, labels, l2, held_out))
    return (queries @ weight + bias).cpu()


def choose_l2(gallery: Tensor, labels: Tensor, l2: Sequence[float], held_out: Tensor) -> float:
    """The weight of the penalty with the best accuracy on the held-out part of a gallery."""
    if len(l2) == 1 or held_out.all():
        return l2[0]
    best, most, start = l2[0], -1, None
    for value in l2:
        start = fit_logistic(gallery[~held_out], labels[~held_out], value,
                             int(labels.max()) + 1, start)
        found = (gallery[held_out] @ start[0] + start[1]).argmax(1)
        right = int((found == labels[held_out]).sum())
        if right > most:
            best, most = value, right
    return best


def standardise(gallery: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    """Zero mean and unit deviation of the gallery; a constant feature becomes 0.

    Args:
        gallery (Tensor): (N, D).
        queries (Tensor): (M, D), by the same mean and deviation.

    Returns:
        tuple[Tensor, Tensor]: Both, float32.
    """
    gallery, queries = gallery.float(), queries.float()
    std, mean = torch.std_mean(gallery, dim=0, correction=0)
    scale = torch.where(std > _ROUNDING * mean.abs(), 1 / std, 0)
    return (gallery - mean) * scale, (queries - mean) * scale


def rotate_to_principal_axes(gallery: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate both to the principal axes of the gallery, where a fit needs fewer steps.

    A rotation changes neither the penalty nor the functions that weights can express.

    Args:
        gallery (Tensor): (N, D), zero mean.
        queries (Tensor): (M, D).
    """
    axes = torch.linalg.eigh(gallery.T @ gallery / len(gallery)).eigenvectors
    return gallery @ axes, queries @ axes


@torch.enable_grad()
def fit_logistic(features: Tensor,
                 labels: Tensor,
                 l2: float,
                 classes: int | None = None,
                 start: tuple[Tensor, Tensor] | None = None,
                 tolerance: float = 1e-4) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression by full-batch L-BFGS; see ``LinearProbe``.

    Args:
        features (Tensor): (N, D) float.
        labels (Tensor): (N,) int64.
        l2 (float): Weight of the penalty on the weights.
        classes (int, optional): Number C of classes; from the labels where None.
        start (tuple[Tensor, Tensor], optional): Weights and bias to start from, else 0.
        tolerance (float): The fit ends when no derivative is larger, for weights in units
            in which the curvature is about 1. Defaults to 1e-4.

    Returns:
        tuple[Tensor, Tensor]: Weights (D, C) and bias (C,), without gradient.
    """
    classes = int(labels.max()) + 1 if classes is None else classes
    if start is None:
        start = features.new_zeros(features.shape[1], classes), features.new_zeros(classes)
    # the curvature of a weight: its feature's mean square times a typical p (1 - p), and l2
    unit = (features.square().mean(0) / classes + l2).rsqrt()[:, None]
    scaled = (start[0] / unit).requires_grad_()
    bias = start[1].clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [scaled, bias], max_iter=500, history_size=10, tolerance_grad=tolerance,
        tolerance_change=0, line_search_fn='strong_wolfe')

    def loss():
        optimiser.zero_grad()
        weight = unit * scaled
        value = F.cross_entropy(features @ weight + bias, labels)
        value = value + l2 / 2 * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return (unit * scaled).detach(), bias.detach()

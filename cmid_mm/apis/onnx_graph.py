"""Modules that are exported to ONNX: from values of bands to vectors, maps and probabilities."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..utils.errors import CMIDError

#: Names of the results, for each task.
OUTPUTS = dict(backbone=('vector', 'map'), classification=('probabilities', ),
               segmentation=('probabilities', ), change=('probabilities', ))


class ExportedModel(nn.Module):
    """A model with its normalisation, from an image to its results.

    Args:
        model (nn.Module): A backbone, an ``ImageClassifier`` of mmpretrain, or an
            ``EncoderDecoder`` of mmseg's style, in evaluation mode. Its modules are changed.
        task (str): Key of ``OUTPUTS``.
        mean (Tensor): (bands, 1, 1), in 0..255, in the order of the model; ``std`` likewise.
        value_range (Sequence, optional): (low, high) of each band in the file's units. Then
            inputs are these values, else 0..255. Defaults to None.
        reverse (bool): Whether the model takes the bands of a date in the reverse order of a file.
        dates (int): Images of an input.
    """

    def __init__(self, model: nn.Module, task: str, mean: Tensor, std: Tensor,
                 value_range: Sequence | None = None, reverse: bool = False, dates: int = 1):
        super().__init__()
        prepare(model)
        self.model, self.task, self.reverse, self.dates = model, task, reverse, dates
        for name, value in (('mean', mean), ('std', std)):
            self.register_buffer(name, value.detach().float().reshape(-1, 1, 1).cpu())
        bounds = None if value_range is None else torch.tensor(value_range).T[..., None, None]
        self.register_buffer('bounds', bounds)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Results of images.

        Args:
            image (Tensor): (B, bands, H, W) float32, in the order of the file's bands, two
                dates one after the other.

        Returns:
            tuple[Tensor, ...]: Float32, as in ``OUTPUTS``: vector (B, C) and map (B, C, h, w);
            the map is left out where the backbone gives vectors. Probabilities (B, classes),
            or (B, classes, H, W); one channel is that of class 1.
        """
        if self.bounds is not None:
            # as map_to_255
            low, high = self.bounds
            scaled = (torch.where(image.isnan(), low, image) - low) * (255 / (high - low))
            image = scaled.clamp(0, 255).round()
        if self.reverse:
            image = image.unflatten(1, (self.dates, -1)).flip(2).flatten(1, 2)
        return getattr(self, f'_{self.task}')((image - self.mean) / self.std)

    def _backbone(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = self.model(image)[-1]
        if maps.ndim == 2:
            return (maps, )
        if maps.ndim != 4:
            raise CMIDError(f'the backbone gives {maps.ndim - 2} axis of tokens and no map: set '
                            "model.backbone.out_type='featmap' in the config")
        return maps.mean((2, 3)), maps

    def _classification(self, image: Tensor) -> tuple[Tensor, ...]:
        return (self.model(image, mode='tensor').softmax(1), )

    def _segmentation(self, image: Tensor) -> tuple[Tensor, ...]:
        scores = self.model.decode_head(self.model.extract_feat(image))
        scores = F.interpolate(scores, size=image.shape[2:], mode='bilinear',
                               align_corners=self.model.align_corners)
        return (scores.softmax(1) if scores.shape[1] > 1 else scores.sigmoid(), )

    _change = _segmentation


def prepare(model: nn.Module) -> None:
    """Replace what torch's exporter gets wrong, in place; the results are the same.

    It computes sizes in Python once and writes them as constants, without an error: the bins
    of an adaptive pooling and the number of windows of a Swin.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size not in (1, (1, 1)):
                setattr(parent, name, AdaptiveMean(child.output_size))
        if type(parent).__name__ == 'ShiftWindowMSA':
            parent.window_reverse = join_windows


def fixes_size(model: nn.Module) -> bool:
    """Whether the graph of a model depends on the size of the images, as that of a Swin.

    Padding, shift and number of its windows are chosen by conditions on the size.
    """
    return any(type(module).__name__ == 'ShiftWindowMSA' for module in model.modules())


class AdaptiveMean(nn.Module):
    """``nn.AdaptiveAvgPool2d`` as two products of matrices, for images of any size."""

    def __init__(self, size: int | tuple):
        super().__init__()
        self.size = size if isinstance(size, tuple) else (size, size)

    def forward(self, image: Tensor) -> Tensor:
        """(..., H, W) to (..., *size)."""
        rows, columns = (_bins(length, count, image)
                         for length, count in zip(image.shape[-2:], self.size))
        return rows @ image @ columns.T


def _bins(length: int, count: int, like: Tensor) -> Tensor:
    """(count, length), the weights of a mean over each bin."""
    cells = torch.arange(length, device=like.device)
    bins = torch.arange(count, device=like.device)[:, None]
    inside = (cells >= bins * length // count) & (cells < ((bins + 1) * length - 1) // count + 1)
    return inside.to(like.dtype) / inside.sum(1, keepdim=True)


def join_windows(windows: Tensor, height: int, width: int, *_) -> Tensor:
    """(windows, size, size, C) to maps (B, H, W, C); as ``ShiftWindowMSA.window_reverse``.

    mmpretrain's passes the size of a window, mmseg's does not.
    """
    size = windows.shape[1]
    parts = windows.view(-1, height // size, width // size, size, size, windows.shape[-1])
    return parts.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])

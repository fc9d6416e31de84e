"""Maps of classes and of change from rasters of any size."""
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.enums import Resampling
from torch import Tensor

from ..datasets.raster_file import RasterFile
from ..engine.optimizers.auto_precision import best_precision
from ..visualization.raster_pictures import class_colours, save_class_map
from .map_file import NODATA, write_map
from .raster_inferencer import RasterInferencer
from .tiles import Mosaic

# longest side of the small picture in pixels
_PICTURE = 1000

class SegmentationInferencer(RasterInferencer):
    """Writes a GeoTIFF of classes for a raster of any size, by a segmentor in mmseg's style.

    The model predicts overlapping tiles; in their overlap probabilities fade from one tile
    into the next. Classes are numbered as in training; 255 marks pixels without data. The
    result has the georeference of the raster, and the colours and names of the classes.

    Args: see :class:`RasterInferencer`.
    """
    ending = '_classes.tif'

    def predict(self, paths: tuple[str, ...], out: str, confidence: bool = False,
                picture: bool = True) -> dict:
        """Map one raster.

        Args:
            paths (tuple[str, ...]): File of the raster, for every date.
            out (str): GeoTIFF to write.
            confidence (bool): Whether a second band holds the probability of the predicted
                class, in percent. Defaults to False.
            picture (bool): Whether a small PNG of image and map is written beside it.
                Defaults to True.

        Returns:
            dict: ``rasters`` the paths, ``map`` the GeoTIFF, ``picture`` the PNG or None,
            ``shares`` of the valid pixels by class, ``nodata`` the share of pixels without
            data, ``seconds``.

        Raises:
            ImageError: A raster is damaged, or does not fit the model.
        """
        started = time.perf_counter()
        with self.open(paths) as files:
            self.describe(files)
            names, palette = self.classes()
            counts = np.zeros(256, np.int64)
            with write_map(out, files[0], names, palette, confidence) as writer:
                for rows in self._mapped_rows(files, confidence):
                    counts += np.bincount(rows[0].ravel(), minlength=256)
                    writer.write(rows)
            small = self._save_picture(files, out, names, palette) if picture else None
        valid = counts.sum() - counts[NODATA]
        shares = {name: float(counts[number] / max(valid, 1)) for number, name in enumerate(names)}
        nodata = counts[NODATA] / counts.sum()
        self.log(f'{out}: ' + ', '.join(f'{name} {share:.1%}' for name, share in shares.items())
                 + (f'; {nodata:.1%} without data' if nodata else ''))
        return dict(rasters=list(paths), map=out, picture=small, shares=shares,
                    nodata=float(nodata), seconds=time.perf_counter() - started)

    def sample(self, shape: tuple):
        """As ``sample_of``."""
        return sample_of(shape)

    def precision(self):
        """Context manager: the precision that the hardware computes fastest."""
        device = next(self.model.parameters()).device.type
        name, _ = best_precision()
        # best_precision describes the GPU where there is one
        elsewhere = device == 'cpu' and torch.cuda.is_available()
        if name == 'float32' or elsewhere:
            return nullcontext()
        return torch.autocast(device, getattr(torch, name))

    def classes(self) -> tuple[list[str], list]:
        """Names and colours (R, G, B) of the classes, from the checkpoint where it has them."""
        count = max(self.model.decode_head.num_classes, 2)
        palette = self.model.dataset_meta.get('palette')
        return self.class_names(count), class_colours(count, palette)

    def _mapped_rows(self, files: list[RasterFile], confidence: bool) -> Iterator[np.ndarray]:
        """uint8 (1 or 2, rows, width) from top to bottom."""
        mosaic = None
        for row, columns, masks, samples in self.predictions(files):
            mosaic = mosaic or Mosaic(columns, self.model.decode_head.out_channels)
            out = np.full((1 + confidence, row.settled - row.low, files[0].width), NODATA,
                          np.uint8)
            for place, means in mosaic.join(row, map(probabilities, samples)):
                labels, shares = self._decide(means)
                out[0, :, place] = labels
                if confidence:
                    out[1, :, place] = (100 * shares).round()
            valid = np.concatenate([
                mask[row.low - row.start:row.settled - row.start,
                     span.low - span.start:span.settled - span.start]
                for span, mask in zip(columns, masks)], axis=1)
            out[:, ~valid] = NODATA
            yield out

    def _decide(self, means: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Classes uint8 (h, w) and their probabilities (h, w)."""
        if len(means) > 1:
            shares, labels = means.max(0)
        else:
            labels = means[0] > self.model.decode_head.threshold
            shares = torch.where(labels, means[0], 1 - means[0])
        return labels.to(torch.uint8).numpy(), shares.numpy()

    def _save_picture(self, files: list[RasterFile], out: str, names: list,
                      palette: list) -> str:
        path = str(Path(out).with_suffix('.png'))
        images = [self.picture(file, _PICTURE)[0] for file in files]
        with rasterio.open(out, driver='GTiff') as file:
            labels = file.read(1, out_shape=images[0].shape[:2], resampling=Resampling.nearest)
        save_class_map(images, labels, names, palette, path)
        return path


class ChangeInferencer(SegmentationInferencer):
    """Writes a GeoTIFF of change from two dates of a scene, by mmseg's or open-cd's models.

    It works as :class:`SegmentationInferencer`, for configs that read pairs: inputs are pairs
    (earlier, later) of rasters on one grid, or two folders with equal names.
    """
    ending = '_change.tif'
    wanted_dates = 2


def sample_of(shape: tuple[int, int]):
    """A ``SegDataSample`` of a tile of (rows, columns) pixels."""
    from mmseg.structures import SegDataSample
    return SegDataSample(metainfo=dict(ori_shape=shape, img_shape=shape, pad_shape=shape,
                                       scale_factor=(1., 1.), img_path=''))


def probabilities(sample) -> Tensor | None:
    """float32 (classes, h, w) on the CPU of a tile, (1, h, w) of a sigmoid; None for None.

    Args:
        sample (SegDataSample, optional): Prediction; mmseg applies the sigmoid to a single
            channel, but no softmax to several.
    """
    if sample is None:
        return None
    scores = sample.seg_logits.data.float()
    return (scores.softmax(0) if len(scores) > 1 else scores).cpu()

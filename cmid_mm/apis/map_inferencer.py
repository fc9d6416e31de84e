"""Maps of classes and of change from rasters of any size."""
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..visualization.class_map import class_colours, save_class_map
from .raster_file import RasterFile
from .raster_inferencer import RasterInferencer, fast_precision
from .raster_writing import NODATA, georeferenced_tiff
from .tiles import Mosaic, Span, cut_axis

# Longest side of the small picture, in pixels.
_PICTURE = 1000


class SegmentationInferencer(RasterInferencer):
    """A GeoTIFF of classes for a raster of any size, by any segmentor of mmseg's kind.

    The model sees overlapping tiles; in their overlap probabilities fade from one tile into
    the next. Classes are numbered as in training, 255 is where the raster has no data. The
    result has the georeference of the raster, the colours and names of the classes.

    Args: see :class:`RasterInferencer`.
    """
    ending = '_classes.tif'

    def predict(self, paths: tuple[str, ...], out: str, confidence: bool = False,
                picture: bool = True) -> dict:
        """Map one raster.

        Args:
            paths (tuple[str, ...]): Its file, of every date.
            out (str): GeoTIFF to write.
            confidence (bool): Whether a second band holds the probability of the class that
                was chosen, in percent. Defaults to False.
            picture (bool): Whether a small PNG of image and map is written beside it.
                Defaults to True.

        Returns:
            dict: ``rasters`` the paths, ``map`` the GeoTIFF, ``picture`` the PNG or None,
            ``shares`` of the valid pixels by class, ``nodata`` the share of pixels without
            data, ``seconds``.

        Raises:
            ImageError: A raster is damaged, or does not suit the model.
        """
        started = time.perf_counter()
        with self.open(paths) as files:
            self.describe(files)
            names, palette = self.classes()
            bands = ['class', 'probability, %'] if confidence else ['class']
            counts = np.zeros(256, np.int64)
            with georeferenced_tiff(out, files[0], bands, palette,
                                    dict(CLASSES=', '.join(names))) as writer:
                for rows in self._mapped_rows(files, confidence):
                    counts += np.bincount(rows[0].ravel(), minlength=256)
                    writer.write(rows)
            small = self._save_picture(files, out, names, palette) if picture else None
        valid = counts.sum() - counts[NODATA]
        shares = {name: float(counts[number] / max(valid, 1)) for number, name in enumerate(names)}
        nodata = counts[NODATA] / counts.sum()
        self.say(f'{out}: ' + ', '.join(f'{name} {share:.1%}' for name, share in shares.items())
                 + (f'; {nodata:.1%} without data' if nodata else ''))
        return dict(rasters=list(paths), map=out, picture=small, shares=shares,
                    nodata=float(nodata), seconds=time.perf_counter() - started)

    def sample(self, shape: tuple):
        """A ``SegDataSample`` of a tile."""
        from mmseg.structures import SegDataSample
        return SegDataSample(metainfo=dict(ori_shape=shape, img_shape=shape, pad_shape=shape,
                                           scale_factor=(1., 1.), img_path=''))

    def precision(self):
        """Context manager: what the hardware computes fastest."""
        return fast_precision(next(self.model.parameters()).device)

    def classes(self) -> tuple[list[str], list]:
        """Names and colours (R, G, B) of the classes, as the checkpoint has them."""
        meta = self.model.dataset_meta
        count = max(self.model.decode_head.num_classes, 2)
        names = list(meta.get('classes') or [f'class {number}' for number in range(count)])
        return names, class_colours(count, meta.get('palette'))

    def probabilities(self, tiles: list) -> list[Tensor]:
        """float32 (classes, h, w) on the CPU of tiles of one size; (1, h, w) of a sigmoid."""
        maps = [sample.seg_logits.data.float() for sample in self.forward(tiles)]
        # of one channel mmseg gives the sigmoid already
        return [(scores.softmax(0) if len(scores) > 1 else scores).cpu() for scores in maps]

    def _mapped_rows(self, files: list[RasterFile], confidence: bool):
        """uint8 (1 or 2, rows, width) from top to bottom."""
        first = files[0]
        columns, rows = (cut_axis(length, self.tile, self.overlap)
                         for length in (first.width, first.height))
        progress = self.progress(len(columns) * len(rows))
        mosaic = Mosaic(columns, self.model.decode_head.out_channels)
        for row, tiles, masks in self.rows(files, columns, rows):
            out = np.full((1 + confidence, row.settled - row.low, first.width), NODATA, np.uint8)
            valid = self._settled(row, columns, masks)
            scores = self._row_scores(tiles, masks, progress)
            for place, means in mosaic.join(row, scores):
                labels, shares = self._decide(means)
                out[0, :, place] = labels
                if confidence:
                    out[1, :, place] = (100 * shares).round()
            out[:, ~valid] = NODATA
            yield out

    def _row_scores(self, tiles: list, masks: list, progress: Callable[[int], None]):
        """Probabilities of the tiles of a row, in their order; None of those without data."""
        full = [number for number, mask in enumerate(masks) if mask.any()]
        batches = iter(full[start:start + self.batch_size]
                       for start in range(0, len(full), self.batch_size))
        found = {}
        for number, mask in enumerate(masks):
            if mask.any() and number not in found:
                batch = next(batches)
                found = dict(zip(batch, self.probabilities([tiles[i] for i in batch])))
            progress(1)
            yield found.get(number)

    def _settled(self, row: Span, columns: list[Span], masks: list) -> np.ndarray:
        """bool (settled rows, width): where the raster has data."""
        parts = [mask[row.low - row.start:row.settled - row.start,
                      span.low - span.start:span.settled - span.start]
                 for span, mask in zip(columns, masks)]
        return np.concatenate(parts, axis=1)

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
        images = [file.small(_PICTURE)[0] for file in files]
        save_class_map(images, out, images[0].shape[:2], names, palette, path)
        return path


class ChangeInferencer(SegmentationInferencer):
    """A GeoTIFF of change from two dates of a place, by mmseg's or open-cd's models.

    As :class:`SegmentationInferencer`, for configs that read pairs: inputs are pairs
    (earlier, later) of rasters on one grid, or two folders with equal names.
    """
    ending = '_change.tif'
    wanted_dates = 2

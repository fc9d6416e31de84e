"""Objects in rasters of any size, as GeoJSON."""
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..datasets.tiling import Span
from ..visualization.raster_pictures import save_box_map
from .geojson import box_corners, coordinates_of, save_boxes
from .raster_inferencer import RasterInferencer

# longest side of the small picture in pixels
_PICTURE = 1400


class DetectionInferencer(RasterInferencer):
    """Writes the boxes in a raster of any size, by any detector of mmdet or mmrotate.

    The model predicts overlapping tiles. A box is used where its centre lies in the tile's own
    part of the overlap; of two boxes of one object in a shared seam, the one with the higher
    score is kept. Objects up to half the overlap long are therefore found whole and once.

    Args: see :class:`RasterInferencer`.
    """
    ending = '_objects.geojson'

    def predict(self, paths: tuple[str, ...], out: str, min_score: float = 0.3,
                picture: bool = True) -> dict:
        """Detect the objects of one raster.

        Args:
            paths (tuple[str, ...]): File of the raster.
            out (str): GeoJSON file to write, in longitude and latitude where there are such.
            min_score (float): Boxes with a lower score are left out. Defaults to 0.3.
            picture (bool): Whether a small PNG with the boxes is written beside it.
                Defaults to True.

        Returns:
            dict: ``rasters`` the paths, ``boxes_file`` the GeoJSON, ``picture`` the PNG or
            None; ``boxes`` float32 (N, 4), (N, 5) or (N, 8) in pixels of the raster, see
            ``box_corners``; ``scores`` float32 (N,); ``labels`` list[str]; ``seconds``.

        Raises:
            ImageError: The raster is damaged, or does not fit the model.
        """
        started = time.perf_counter()
        with self.open(paths) as files:
            self.describe(files)
            place = files[0].georeference
            coordinates = coordinates_of(place, files[0].height, files[0].width)
            if coordinates is not None:
                self.log(f'{out} will have {coordinates}')
            boxes, scores, classes = self._find(files, min_score)
            names = self.class_names(int(classes.max()) + 1 if len(classes) else 0)
            labels = [names[number] for number in classes.tolist()]
            boxes, scores = boxes.numpy(), scores.numpy()
            save_boxes(out, boxes, labels, scores, place, coordinates)
            small = (self._save_picture(files[0], out, boxes, classes.numpy(), names)
                     if picture else None)
        counts = ', '.join(f'{count:,} {name}' for name, count in Counter(labels).most_common())
        self.log(f'{out}: {counts or "nothing"} with a score above {min_score}')
        return dict(rasters=list(paths), boxes_file=out, picture=small, boxes=boxes,
                    scores=scores, labels=labels, seconds=time.perf_counter() - started)

    def sample(self, shape: tuple):
        """A ``DetDataSample`` of a tile."""
        from mmdet.structures import DetDataSample
        return DetDataSample(metainfo=dict(ori_shape=shape, img_shape=shape, pad_shape=shape,
                                           scale_factor=(1., 1.), img_path='', img_id=0))

    def _find(self, files: list, min_score: float) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes in pixels of the raster, scores and class numbers, the highest score first."""
        from mmcv.ops import nms, nms_quadri, nms_rotated
        found = []
        for row, columns, _, samples in self.predictions(files):
            found += [boxes_of_tile(sample.pred_instances, row, span, min_score)
                      for span, sample in zip(columns, samples) if sample is not None]
        if not found:
            return torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long)
        boxes, scores, classes, seam = (torch.cat(parts) for parts in zip(*found))
        # the threshold of the detector's own non-maximum suppression
        test_cfg = self.cfg.model.get('test_cfg') or {}
        threshold = ((test_cfg.get('rcnn') or test_cfg).get('nms') or {}).get('iou_threshold', 0.5)
        suppress = {4: nms, 5: nms_rotated, 8: nms_quadri}[boxes.shape[1]]
        kept = [torch.nonzero(~seam)[:, 0]]
        for number in classes[seam].unique():
            own = torch.nonzero(seam & (classes == number))[:, 0]
            kept.append(own[suppress(boxes[own], scores[own], threshold)[1]])
        keep = torch.cat(kept)
        keep = keep[scores[keep].argsort(descending=True, stable=True)]
        return boxes[keep], scores[keep], classes[keep]

    def _save_picture(self, file, out: str, boxes: np.ndarray, classes: np.ndarray,
                      names: list) -> str:
        path = str(Path(out).with_suffix('.png'))
        image, shrink = self.picture(file, _PICTURE)
        palette = self.model.dataset_meta.get('palette')
        # mmdet also has names of palettes
        save_box_map(image, box_corners(boxes) / shrink, classes, names, path,
                     palette if isinstance(palette, (list, tuple)) else None)
        return path


def boxes_of_tile(found, row: Span, span: Span, min_score: float) -> tuple:
    """Boxes in a tile's own part, in pixels of the raster.

    Args:
        found (InstanceData): ``bboxes``, ``scores`` and ``labels`` in pixels of the tile.
        row (Span): Position of the tile from top to bottom.
        span (Span): Position from left to right.
        min_score (float): Boxes with a lower score are left out.

    Returns:
        tuple[Tensor]: On the CPU, boxes (N, 4), (N, 5) or (N, 8) float32, scores (N,),
        classes (N,) int64, and bool (N,), whether the box touches the seam to a neighbour.
    """
    boxes = getattr(found.bboxes, 'tensor', found.bboxes).float().cpu()
    scores, classes = found.scores.float().cpu(), found.labels.cpu()
    shift = torch.tensor([span.start, row.start], dtype=torch.float32)
    boxes = boxes.clone()
    pairs = {4: 2, 5: 1, 8: 4}[boxes.shape[1]]
    boxes[:, :2 * pairs] += shift.repeat(pairs)
    corners = torch.from_numpy(box_corners(boxes.numpy()))
    centres, lows, highs = corners.mean(1), corners.amin(1), corners.amax(1)
    counts = scores >= min_score
    seam = torch.zeros_like(counts)
    for axis, place in enumerate((span, row)):
        counts &= (centres[:, axis] >= place.low) & (centres[:, axis] < place.high)
        if place.fade_in:
            seam |= lows[:, axis] < place.low + place.fade_in
        if place.fade_out:
            seam |= highs[:, axis] > place.settled
    return boxes[counts], scores[counts], classes[counts], seam[counts]

"""Pictures of predictions and ground truth for each downstream task.

Every function takes data samples of its framework as ``model.test_step`` returns them,
the entries of the data set (``get_data_info``) and the names of the classes, and writes
one picture.
"""
from collections.abc import Sequence

import cv2
import numpy as np

from ..datasets.transforms.loading import LoadRSImage
from .panels import save_grid, to_rgb

#: Colours of true positives, false positives and false negatives of change.
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = (255, 255, 255), (230, 60, 60), (70, 130, 255)
TRUE_BOX, FOUND_BOX = (60, 220, 60), (255, 200, 0)
LEAST_SCORE = 0.3


def read_rgb(path: str, loading: dict | None = None) -> np.ndarray:
    """An image in colours: (H, W, 3) uint8, its first three bands or grey.

    Args:
        path (str): File.
        loading (dict, optional): Arguments of ``LoadRSImage``, for other than photographs.
    """
    return to_rgb(LoadRSImage(**(loading or {})).transform(dict(img_path=path))['img'])


def classification_picture(samples, infos, meta: dict, path: str, title: str,
                           loading: dict | None = None) -> None:
    """A grid of images with prediction and truth as titles."""
    names = meta['classes']
    panels, captions = [], []
    for sample, info in zip(samples, infos):
        true, found = int(sample.gt_label), int(sample.pred_label)
        panels.append(read_rgb(info['img_path'], loading))
        captions.append((names[true], 'green') if true == found else
                        (f'{names[found]} (is {names[true]})', 'red'))
    half = (len(panels) + 1) // 2
    if len(panels) % 2:
        panels.append(np.full_like(panels[0], 255))
        captions.append(('', 'black'))
    save_grid([panels[:half], panels[half:]], path, title=title,
              captions=[captions[:half], captions[half:]])


def segmentation_picture(samples, infos, meta: dict, path: str, title: str,
                         loading: dict | None = None) -> None:
    """Rows of image, true classes and predicted classes; ignored pixels are black."""
    rows = []
    for sample, info in zip(samples, infos):
        true, found = (getattr(sample, name).data[0].cpu().numpy()
                       for name in ('gt_sem_seg', 'pred_sem_seg'))
        rows.append([read_rgb(info['img_path'], loading)]
                    + [paint(labels, meta['palette'], true) for labels in (true, found)])
    save_grid(rows, path, ('image', 'truth', 'prediction'), title)


def paint(labels: np.ndarray, palette: Sequence, truth: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) uint8 of class numbers (H, W), black where the truth is ignored."""
    colours = np.zeros((256, 3), np.uint8)
    colours[:len(palette)] = palette
    return np.where((truth == 255)[..., None], 0, colours[labels]).astype(np.uint8)


def detection_picture(samples, infos, meta: dict, path: str, title: str,
                      loading: dict | None = None) -> None:
    """Rows of true boxes and found boxes with their scores."""
    rows = []
    for sample, info in zip(samples, infos):
        image = read_rgb(info['img_path'], loading)
        true = [instance['bbox'] for instance in info['instances']
                if not instance['ignore_flag']]
        found = sample.pred_instances
        kept = found.scores > LEAST_SCORE
        rows.append([draw_boxes(image, true, TRUE_BOX),
                     draw_boxes(image, found.bboxes[kept].tolist(), FOUND_BOX)])
    save_grid(rows, path, ('truth', f'prediction (score above {LEAST_SCORE})'), title)


def draw_boxes(image: np.ndarray, boxes: Sequence, colour: tuple) -> np.ndarray:
    """A copy of the image, enlarged twice, with boxes (left, top, right, bottom) in pixels."""
    drawn = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    for box in boxes:
        left, top, right, bottom = (round(2 * float(side)) for side in box)
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, 1)
    return drawn


def change_picture(samples, infos, meta: dict, path: str, title: str,
                   loading: dict | None = None) -> None:
    """Rows of both dates, the true change, and the predicted change compared with it."""
    rows = []
    for sample, info in zip(samples, infos):
        true, found = (getattr(sample, name).data[0].cpu().numpy()
                       for name in ('gt_sem_seg', 'pred_sem_seg'))
        dates = [read_rgb(info[name], loading) for name in ('img_path', 'img_path2')]
        rows.append([*dates, compare_change(true, true), compare_change(true, found)])
    save_grid(rows, path, ('first date', 'second date', 'truth', 'prediction'),
              f'{title}\nred: false positive, blue: false negative')


def compare_change(true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Change (H, W), 1 where changed, as colours; true negatives are black."""
    picture = np.zeros((*true.shape, 3), np.uint8)
    picture[(true == 1) & (found == 1)] = TRUE_POSITIVE
    picture[(true == 0) & (found == 1)] = FALSE_POSITIVE
    picture[(true == 1) & (found == 0)] = FALSE_NEGATIVE
    return picture


#: Task -> function that draws its picture.
PREDICTION_PICTURES = dict(
    classification=classification_picture,
    segmentation=segmentation_picture,
    detection=detection_picture,
    change_detection=change_picture)

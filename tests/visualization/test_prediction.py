"""Pictures of predictions show labels, boxes and change at the right places."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from cmid_mm.visualization import PREDICTION_PICTURES, draw_grid, save_grid
from cmid_mm.visualization.prediction import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    FOUND_BOX,
    TRUE_POSITIVE,
    compare_change,
    draw_boxes,
    paint,
    read_rgb,
)


def maps(**arrays):
    return SimpleNamespace(**{
        name: SimpleNamespace(data=torch.as_tensor(array)[None])
        for name, array in arrays.items()})


@pytest.fixture
def photograph(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    path = tmp_path / 'scene.png'
    Image.fromarray(pixels).save(path)
    return str(path), pixels


def test_images_are_shown_in_their_colours(photograph):
    path, pixels = photograph
    assert np.array_equal(read_rgb(path), pixels)


def test_change_is_compared_pixel_by_pixel():
    true = np.array([[1, 1], [0, 0]])
    found = np.array([[1, 0], [1, 0]])
    picture = compare_change(true, found)
    assert [tuple(pixel) for pixel in picture.reshape(-1, 3)] == [
        TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE, (0, 0, 0)]


def test_ignored_pixels_are_black_in_truth_and_prediction():
    palette = [[10, 20, 30], [40, 50, 60]]
    truth = np.array([[0, 1, 255]])
    assert paint(truth, palette, truth).tolist() == [[[10, 20, 30], [40, 50, 60], [0, 0, 0]]]
    found = np.array([[1, 1, 1]])
    assert paint(found, palette, truth).tolist() == [[[40, 50, 60], [40, 50, 60], [0, 0, 0]]]


def test_boxes_are_drawn_where_they_lie():
    image = np.zeros((20, 30, 3), np.uint8)
    drawn = draw_boxes(image, [[4, 6, 10, 12]], FOUND_BOX)
    rows, columns = np.nonzero((drawn == FOUND_BOX).all(2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 24, 8, 20)
    assert not image.any()


@pytest.mark.parametrize('task', PREDICTION_PICTURES)
def test_a_wrong_prediction_changes_the_picture(task, photograph, tmp_path):
    path, _ = photograph
    labels = np.zeros((24, 32), np.int64)
    boxes = torch.tensor([[2., 3., 12., 14.]])
    info = dict(img_path=path, img_path2=path,
                instances=[dict(bbox=[2, 3, 12, 14], ignore_flag=False)])
    meta = dict(classes=['field', 'wood'], palette=[[0, 90, 0], [200, 0, 0]])

    def picture(name, found, score):
        sample = maps(gt_sem_seg=labels, pred_sem_seg=labels + found)
        sample.gt_label, sample.pred_label = torch.tensor([0]), torch.tensor([found])
        sample.pred_instances = SimpleNamespace(scores=torch.tensor([score]), bboxes=boxes)
        PREDICTION_PICTURES[task]([sample, sample, sample], [info] * 3, meta,
                                  str(tmp_path / name), 'title')
        return np.asarray(Image.open(tmp_path / name).convert('RGB'))

    right, wrong = picture('right.png', 0, 0.9), picture('wrong.png', 1, 0.1)
    assert min(right.shape[:2]) > 200
    assert right.shape != wrong.shape or not np.array_equal(right, wrong)


def test_grid_has_a_place_for_every_panel(tmp_path):
    red, blue = (np.full((8, 8, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    legend = [('wood', (0, 90, 0)), ('field', (200, 180, 0))]
    picture = draw_grid([[red, blue], [blue, red]], ('a', 'b'), legend=legend).astype(int)
    assert (picture == (0, 90, 0)).all(2).sum() > 100 < (picture == (200, 180, 0)).all(2).sum()
    reds = (picture[..., 0] > 240) & (picture[..., 1:] < 15).all(2)
    half = picture.shape[0] // 2, picture.shape[1] // 2
    # red above on the left and below on the right
    assert reds[:half[0], :half[1]].sum() > 1000 and reds[half[0]:, half[1]:].sum() > 1000
    assert reds[:half[0], half[1]:].sum() == 0


@pytest.mark.parametrize('ending, start', [
    ('png', b'\x89PNG'), ('jpg', b'\xff\xd8'), ('pdf', b'%PDF'), ('svg', b'<?xml')])
def test_pictures_are_written_in_the_format_of_their_ending(tmp_path, ending, start):
    """Pillow cannot write SVG."""
    panels, path = [[np.full((8, 16, 3), 9, np.uint8)] * 2], tmp_path / f'grid.{ending}'
    save_grid(panels, path, title='title')
    assert path.read_bytes().startswith(start)
    if ending == 'png':
        written = np.asarray(Image.open(path).convert('RGB'))
        assert np.array_equal(written, draw_grid(panels, title='title'))

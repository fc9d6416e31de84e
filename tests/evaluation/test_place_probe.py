"""Linear probe of the cells of a map: labels of cells, its numbers, what may be passed over."""
import numpy as np
import pytest
import torch

from cmid_mm.evaluation.metrics import LinearProbe, PlaceProbe
from cmid_mm.evaluation.metrics.place_probe import cell_labels, segmentation_scores
from cmid_mm.utils.errors import CMIDError


@pytest.mark.parametrize('dtype', [np.uint8, np.int64])
def test_the_label_of_a_cell_is_the_most_frequent_one_that_counts(dtype):
    mask = np.array([[7, 7, 2, 2, 255, 255],
                     [7, 1, 1, 1, 255, 255],
                     [255, 255, 0, 255, 3, 3],
                     [255, 5, 255, 255, 4, 4]], dtype)
    assert cell_labels(mask, (2, 3)).tolist() == [7, 1, -1, 5, 0, 3]
    assert cell_labels(mask, (2, 3), ignore_index=7).tolist() == [1, 1, 255, 255, 255, 3]
    assert cell_labels(np.full((2, 2), 255, dtype), (1, 1)).tolist() == [-1]
    with pytest.raises(CMIDError, match='3 x 3 cells does not tile a mask of 4 x 6'):
        cell_labels(mask, (3, 3))


def test_scores_are_those_counted_by_hand():
    truth, prediction = torch.tensor([0, 0, 0, 2, 2, 0]), torch.tensor([0, 0, 1, 2, 0, 0])
    scores = segmentation_scores(prediction, truth)
    # class 0: 3 of 5, class 2: 1 of 2; class 1 does not occur
    assert scores['accuracy'] == pytest.approx(100 * 4 / 6)
    assert scores['miou'] == pytest.approx(100 * (3 / 5 + 1 / 2) / 2)


def samples(number=20, noise=0.3, seed=0, shuffle_labels=False):
    """Maps of 3 x 4 cells, whose classes are quarters of the mask, one pixel of four ignored."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(3, 8, generator=torch.Generator().manual_seed(9))
    result = []
    for i in range(number):
        labels = torch.randint(0, 3, (3, 4), generator=generator)
        values = centres[labels].permute(2, 0, 1)
        values = values + noise * torch.randn(values.shape, generator=generator)
        if shuffle_labels:
            labels = torch.randint(0, 3, (3, 4), generator=generator)
        mask = labels.numpy().repeat(2, 0).repeat(2, 1)
        mask[::2, ::2] = 255
        path = f'data/{i // 2}_{i % 2}_{seed}.png'
        result.append(dict(map=values, gt_seg_map=mask, img_path=path))
    return result


def evaluate(metric, data):
    metric.process(None, data)
    return metric.evaluate(len(data))


def test_places_are_told_apart_where_features_do_and_not_where_they_do_not():
    scores = evaluate(PlaceProbe(), samples())
    assert scores['places/accuracy'] == scores['places/miou'] == 100
    noise = evaluate(PlaceProbe(), samples(60, shuffle_labels=True))
    assert noise['places/accuracy'] < 50


def test_it_is_the_linear_probe_on_cells_of_whole_images():
    data = samples(25, noise=2.)
    scores = evaluate(PlaceProbe(l2=(0.01, )), data)
    query = torch.arange(25) % 5 == 0
    features = torch.stack([sample['map'].flatten(1).t() for sample in data])
    labels = torch.stack([cell_labels(sample['gt_seg_map'], (3, 4)) for sample in data])
    ranking = LinearProbe(l2=(0.01, )).rank(
        features[~query].flatten(0, 1), labels[~query].flatten(), features[query].flatten(0, 1))
    right = ranking[:, 0] == labels[query].flatten()
    assert scores['places/accuracy'] == pytest.approx(100 * right.float().mean().item())
    assert scores == evaluate(PlaceProbe(l2=(0.01, )), data)


@pytest.mark.parametrize('names, group', [
    # parts of a scene in files of their own, and windows of a raster
    (None, r'([^/]*)_[0-9]+_[0-9]+\.png'),
    ('data/{0}.tif#xywh={1},0,64,64', None),
])
def test_parts_of_a_scene_are_on_one_side(names, group):
    data = samples(26, noise=2.)
    for i, sample in enumerate(data):
        if names:
            sample['img_path'] = names.format(i // 2, i % 2 * 64)
    whole = [dict(map=torch.cat([part['map'] for part in pair], 1),
                  gt_seg_map=np.concatenate([part['gt_seg_map'] for part in pair]),
                  img_path=f'{i}.png')
             for i, pair in enumerate(zip(data[::2], data[1::2]))]
    scores = evaluate(PlaceProbe(group=group), data)
    assert scores == evaluate(PlaceProbe(), whole)
    for sample in data:
        sample['img_path'] = sample['img_path'].replace('#', '_')
    assert scores != evaluate(PlaceProbe(), data)


def test_few_cells_of_an_image_are_spread_over_it():
    metric = PlaceProbe(cells_per_image=5)
    sample = samples(1)[0]
    features, labels, _ = metric.cells_of(sample)
    assert torch.equal(features, sample['map'].flatten(1).t()[[0, 2, 5, 8, 11]])
    assert torch.equal(labels, cell_labels(sample['gt_seg_map'], (3, 4))[[0, 2, 5, 8, 11]])


def test_scenes_and_places_pass_each_other_over():
    scene = [dict(feature=torch.tensor([float(i % 2), 1.]), gt_label=torch.tensor([i % 2]),
                  split='query' if i > 7 else 'gallery') for i in range(12)]
    places = samples()
    mixed = [*scene[:5], *places[:9], *scene[5:], *places[9:]]
    assert evaluate(PlaceProbe(), mixed) == evaluate(PlaceProbe(), places)
    assert evaluate(LinearProbe(), mixed) == evaluate(LinearProbe(), scene) == {
        'linear/top1': 100.0}


@pytest.mark.parametrize('change, culprit', [
    (lambda data: [sample.pop('map') for sample in data], "finds no 'map'"),
    (lambda data: data.__delitem__(slice(1, None)), 'two images with masks'),
    (lambda data: [sample['gt_seg_map'].fill(1) for sample in data], 'gallery has 1 classes'),
    (lambda data: data[5]['gt_seg_map'].fill(255) or data[0]['gt_seg_map'].fill(255) or
     data.__delitem__(slice(6, None)), '0 labelled cells'),
    (lambda data: data[3]['map'].fill_(float('nan')), 'not finite'),
    (lambda data: data[3].pop('img_path'), "needs 'img_path'"),
])
def test_what_cannot_be_probed_is_named(change, culprit):
    data = samples(10)
    change(data)
    with pytest.raises(CMIDError, match=culprit):
        evaluate(PlaceProbe(), data)


def test_arguments_are_checked():
    for arguments in (dict(query_every=1), dict(cells_per_image=0), dict(l2=()),
                      dict(group='(')):
        with pytest.raises(CMIDError):
            PlaceProbe(**arguments)
    with pytest.raises(CMIDError, match="group='x' of PlaceProbe does not match data/0_0_0.png"):
        evaluate(PlaceProbe(group='x'), samples())


def test_every_sample_has_a_result_that_mmengine_counts():
    """It leaves None out before it cuts off the samples that fill up the last batch."""
    scene = dict(feature=torch.ones(2), gt_label=torch.tensor([0]), split='query')
    for metric in (PlaceProbe(), LinearProbe()):
        metric.process(None, [scene, *samples(2), scene])
        assert len(metric.results) == 4 and None not in metric.results

"""Which image replaces a broken one in training."""
import numpy as np
import pytest
from view_batches import same_batches, two_views, view_batches

from cmid_mm.datasets import ImageFolder
from cmid_mm.datasets.file_limits import ImageError
from cmid_mm.utils.keyed_random import SampleIndex, view_key

COUNT = 24
BROKEN = (0, 7, 8, 23)


@pytest.fixture
def folder(write, tmp_path):
    """Images of one colour, their own number; four of them are no images."""
    for i in range(COUNT):
        write(f'data/{i:02}.png', np.full((20, 20, 3), i, np.uint8))
    for i in BROKEN:
        (tmp_path / 'data' / f'{i:02}.png').write_text('404 not found')
    return str(tmp_path / 'data')


def build(folder, pipeline=None, **options):
    return ImageFolder(str(folder), pipeline=pipeline or two_views(),
                       **dict(dict(replace_broken=True), **options))


def number(item):
    colour, = item['inputs'].unique().tolist()
    return colour


def test_another_image_under_the_same_key(folder):
    dataset = build(folder)
    for place in range(COUNT):
        item = dataset[SampleIndex(place, 7, 1)]
        assert item['view_keys'].tolist() == [view_key(7, 1, place, view) for view in (0, 1)]
        assert item['broken'].item() == (place if place in BROKEN else -1)
        assert number(item) not in BROKEN
        assert (number(item) == place) == (place not in BROKEN)
    assert dataset[SampleIndex(-1, 0, 0)]['broken'].item() == COUNT - 1


def test_seed_epoch_and_sample_decide_and_nothing_else(folder):
    dataset = build(folder)

    def chosen(seed=0, sample=7):
        return [number(dataset[SampleIndex(sample, seed, epoch)]) for epoch in range(30)]

    np.random.seed(1)
    first = chosen()
    np.random.seed(2)
    assert chosen() == first
    assert first != chosen(seed=1) and first != chosen(sample=8)
    # an even choice reaches most of the twenty good images
    assert len(set(first)) > 12


@pytest.mark.parametrize('repeat', [1, 2])
def test_neither_workers_nor_batches_change_anything(folder, repeat):
    def samples(batches):
        """{(key of view 0, broken, colour)} of all samples."""
        return {sample for batch in batches for sample in zip(
            batch['view_keys'][:, 0].tolist(), batch['broken'].tolist(),
            batch['inputs'][:, 0, 0, 0, 0].tolist(), strict=True)}

    alone = view_batches(folder, repeat=repeat)
    assert same_batches(alone, view_batches(folder, workers=2, repeat=repeat))
    # a repeated data set counts on
    assert sorted(broken for _, broken, _ in samples(alone) if broken >= 0) == [
        COUNT * turn + i for turn in range(repeat) for i in BROKEN]
    assert samples(view_batches(folder, batch_size=6, repeat=repeat)) == samples(alone)


def test_a_test_never_replaces(folder):
    dataset = build(folder)
    for index in (7, np.int64(7), -1):
        with pytest.raises(ImageError, match='is not a JPEG') as error:
            dataset[index]
    # torch makes a worker's error again in the main process, from its type and its text
    assert str(type(error.value)('text')) == 'text'
    with pytest.raises(ImageError, match='07.png is not a JPEG[^(]*$'):
        build(folder, replace_broken=False)[SampleIndex(7, 0, 0)]
    assert not ImageFolder(folder).replace_broken


def test_where_nothing_can_be_read_the_first_reason_is_reported(folder, tree, tmp_path):
    with pytest.raises(ImageError, match=r'09.png has 3 band\(s\), but bands=4 are requested.*'
                       r'\(10 others, tried in its place, cannot be used either\)$'):
        build(folder, two_views(bands=4))[SampleIndex(9, 0, 0)]
    with pytest.raises(ImageError, match=r'x.png is empty .*\(0 others'):
        build(tree(['x.png'], tmp_path / 'one'))[SampleIndex(0, 0, 0)]


def test_one_good_image_is_found_among_broken_ones(write, tree, tmp_path):
    write('data/2.png', np.full((20, 20, 3), 2, np.uint8))
    dataset = build(tree(['0.png', '1.png'], tmp_path / 'data'))
    assert all(number(dataset[SampleIndex(i, 0, 0)]) == 2 for i in range(3))


def test_an_error_in_the_pipeline_is_no_broken_image(folder):
    def fail(results):
        raise ValueError('an error of the pipeline')

    with pytest.raises(ValueError, match='an error of'):
        build(folder, [fail])[SampleIndex(1, 0, 0)]

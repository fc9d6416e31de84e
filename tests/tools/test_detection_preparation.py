"""DOTA and DIOR: where boxes land in tiles, what is written, and what is refused."""
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

# a small DOTA: images of each part, and their height and width
WANTED = dict(train=2, val=1, test=1)
SIZES = dict(P0001=(150, 230), P0002=(60, 100), P0003=(100, 100), P0004=(120, 100))


@pytest.fixture
def dota(converter):
    return converter('dota')


@pytest.fixture
def share_inside(converter):
    return converter('_boxes').share_inside


def pixels_of(name):
    height, width = SIZES[name]
    return np.random.default_rng(int(name[1:])).integers(
        1, 256, (height, width, 3), dtype=np.uint8)


def write_image(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1])


def write_labels(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


LABELS = dict(
    P0001='imagesource:GoogleEarth\ngsd:0.146\n'
          '70 30 110 30 110 50 70 50 ship 0\n'            # in both upper left windows
          '205 100 215 110 205 120 195 110 plane 1\n'     # a diamond
          '10 5 10 5 10 5 10 5 ship 0\n',                 # a point
    P0002='imagesource:GoogleEarth\ngsd:null\n',
    P0003='90 10 140 10 140 20 90 20 small-vehicle\n')


@pytest.fixture
def download(tmp_path):
    """train in two part folders, labels of val in the other folder's name."""
    root = tmp_path / 'download'
    for name, place in dict(P0001='train/part1', P0002='train/part2/images',
                            P0003='val/images', P0004='test/images').items():
        write_image(root / place / f'{name}.png', pixels_of(name))
    for name, place in dict(P0001='train/labelTxt', P0002='train/labelTxt',
                            P0003='val/labelTxt-v1.0/labelTxt').items():
        write_labels(root / place / f'{name}.txt', LABELS[name])
    return root


@pytest.fixture
def prepare(dota, download, tmp_path):
    """Function that prepares the small DOTA with further options."""
    def run(*options, out=tmp_path / 'dota', workers=1):
        dota.prepare(dota.parse_options(
            [str(download), '--out', str(out), '--size', '100', '--overlap', '20',
             '--workers', str(workers), *options]), WANTED)
        return out

    return run


def lines_of(out, split, name):
    return (out / split / 'annfiles' / f'{name}.txt').read_text().splitlines()


@pytest.mark.parametrize('window, share', [
    ((0, 0, 10, 10), 1.0), ((0, 0, 5, 10), 0.5), ((5, 5, 10, 10), 0.25),
    ((20, 0, 30, 10), 0.0), ((10, 0, 20, 10), 0.0), ((-5, -5, 2, 20), 0.2)])
def test_share_of_a_square(share_inside, window, share):
    square = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], float)
    assert share_inside(square, *window) == pytest.approx(share)
    assert share_inside(square[::-1], *window) == pytest.approx(share)


def test_the_share_of_a_box_without_area_is_zero(share_inside):
    line = np.array([(5, 0), (10, 0), (5, 0), (0, 0)], float)
    assert share_inside(np.tile((3., 4.), (4, 1)), 0, 0, 10, 10) == 0
    assert share_inside(line, 2, -1, 10, 10) == 0


def test_shares_of_windows_that_divide_the_plane_sum_to_one(share_inside):
    rng = np.random.default_rng(0)
    for _ in range(50):
        centre, axis = rng.uniform(0, 40, 2), rng.normal(size=2) * 6
        side = np.array([-axis[1], axis[0]]) * rng.uniform(0.1, 2)
        quad = centre + np.array([axis + side, axis - side, -axis - side, side - axis])
        parts = [share_inside(quad, x, y, x + 20, y + 20)
                 for x in range(-60, 100, 20) for y in range(-60, 100, 20)]
        assert sum(parts) == pytest.approx(1)


def test_the_keep_rule_is_sharp(dota):
    boxes = [(np.array([(0, 0), (10, 0), (10, 10), (0, 10)], float), 3, 0)]
    tile = dota.boxes_of_tile
    assert [item[3] for item in tile(boxes, (0, -10, 50, 7), 0.7)] == [dota.CUT]
    assert tile(boxes, (0, -10, 50, 6.99), 0.7) == []
    assert [item[3] for item in tile(boxes, (0, 0, 50, 50), 0.7)] == [0]


def test_tiles_hold_the_pixels_and_boxes_of_their_place(prepare):
    out = prepare()
    tiles = sorted(file.stem for file in (out / 'train' / 'images').iterdir())
    # 230 wide: from 0, 80 and, moved inside, 130; 150 high: from 0 and 50
    assert tiles == sorted(
        [f'P0001__100__{left}___{top}' for left in (0, 80, 130) for top in (0, 50)]
        + ['P0002__100__0___0'])
    for name in tiles:
        image, _, left, top = name.replace('___', '__').split('__')
        whole, left, top = pixels_of(image), int(left), int(top)
        tile = cv2.imread(str(out / 'train' / 'images' / f'{name}.png'))[..., ::-1]
        assert tile.shape == (100, 100, 3)
        there = whole[top:top + 100, left:left + 100]
        assert np.array_equal(tile[:there.shape[0], :there.shape[1]], there)
        assert not tile[there.shape[0]:].any() and not tile[:, there.shape[1]:].any()
    assert lines_of(out, 'train', 'P0001__100__0___0') == [
        '70.0 30.0 110.0 30.0 110.0 50.0 70.0 50.0 ship 2']
    # 30 of 40 pixels lie right of 80
    assert lines_of(out, 'train', 'P0001__100__80___0') == [
        '-10.0 30.0 30.0 30.0 30.0 50.0 -10.0 50.0 ship 2']
    assert lines_of(out, 'train', 'P0001__100__130___0') == []
    assert lines_of(out, 'train', 'P0001__100__130___50') == [
        '75.0 50.0 85.0 60.0 75.0 70.0 65.0 60.0 plane 1']
    assert lines_of(out, 'train', 'P0002__100__0___0') == []


def test_small_boxes_are_uncut_in_at_least_one_tile(dota, converter):
    rng = np.random.default_rng(1)
    tiles = converter('_preparation').windows(333, 457, 100, 20)
    for _ in range(200):
        corner = rng.uniform(0, (457 - 20, 333 - 20))
        quad = corner + rng.uniform(0, 20, (4, 2))
        quad = cv2.convexHull(quad.astype(np.float32))[:, 0].astype(float)
        found = [dota.boxes_of_tile([(quad, 0, 0)], window, 0.7)
                 for window in tiles]
        places = [(window, item[0]) for window, item in zip(tiles, found) if item]
        assert any(difficulty == 0 for _, (*_, difficulty) in places)
        for window, (_, moved, _, _) in places:
            assert np.allclose(moved + (window[1], window[0]), quad)


def test_coco_files_equal_the_text_files(prepare, dota):
    out = prepare()
    for split in ('train', 'val', 'trainval', 'test'):
        coco = json.loads((out / 'annotations' / f'{split}.json').read_text())
        assert [item['name'] for item in coco['categories']] == list(dota.CLASSES)
        assert [item['id'] for item in coco['categories']] == list(range(1, 16))
        files = {file.name for file in (out / split / 'images').iterdir()}
        assert {image['file_name'] for image in coco['images']} == files
        for image in coco['images']:
            own = [item for item in coco['annotations'] if item['image_id'] == image['id']]
            if split == 'test':
                assert own == []
                continue
            lines = [line.split() for line in lines_of(out, split, image['file_name'][:-4])]
            assert len(own) == len(lines)
            for item, words in zip(own, lines):
                quad = np.array([float(word) for word in words[:8]]).reshape(4, 2)
                low, high = quad.min(0).clip(0, 100), quad.max(0).clip(0, 100)
                assert item['segmentation'] == [quad.ravel().tolist()]
                assert item['bbox'] == [*low, *(high - low)]
                assert dota.CLASSES[item['category_id'] - 1] == words[8]
    ship = json.loads((out / 'annotations' / 'train.json').read_text())['annotations'][0]
    assert ship['bbox'] == [70, 30, 30, 20] and ship['area'] == 600
    train, val, both = (set((out / split / 'images').iterdir())
                        for split in ('train', 'val', 'trainval'))
    assert {file.name for file in both} == {file.name for file in train | val}


def test_a_box_over_the_border_of_the_image_counts_its_part_inside(prepare, capsys):
    """A fifth of the vehicle in P0003 is inside; the point in P0001 has no area."""
    assert lines_of(prepare(), 'val', 'P0003__100__0___0') == []
    assert '2 of 4 boxes have 0.7 of their area in no tile' in capsys.readouterr().out


def test_rates_cut_other_windows_and_do_not_resample(prepare):
    out = prepare('--rates', '0.5', '1.0', '--splits', 'val', '--keep', '0.2')
    names = sorted(file.stem for file in (out / 'val' / 'images').iterdir())
    assert names == ['P0003__100__0___0', 'P0003__200__0___0']
    large = cv2.imread(str(out / 'val' / 'images' / 'P0003__200__0___0.png'))[..., ::-1]
    assert np.array_equal(large[:100, :100], pixels_of('P0003')) and not large[100:].any()
    # a fifth of the vehicle lies in the image, whatever the size of the window
    assert lines_of(out, 'val', 'P0003__200__0___0') == [
        '90.0 10.0 140.0 10.0 140.0 20.0 90.0 20.0 small-vehicle 2']
    assert not (out / 'trainval').exists()


def test_every_run_writes_the_same_files(prepare, tmp_path):
    for number, workers in enumerate((1, 2)):
        prepare(out=tmp_path / str(number), workers=workers)
    files = [sorted(path.relative_to(root) for path in root.rglob('*') if path.is_file())
             for root in (tmp_path / '0', tmp_path / '1')]
    assert files[0] == files[1] and len(files[0]) > 30
    for name in files[0]:
        assert (tmp_path / '0' / name).read_bytes() == (tmp_path / '1' / name).read_bytes()


@pytest.mark.parametrize('damage, message', [
    (lambda root: (root / 'train/part1/P0001.png').unlink(), r'train images \(1 of 2\)'),
    (lambda root: (root / 'val/labelTxt-v1.0/labelTxt/P0003.txt').unlink(),
     r'val labels \(0 of 1\)'),
    (lambda root: write_image(root / 'test/P0009.png', pixels_of('P0004')),
     r'test images \(2 of 1\)'),
    (lambda root: write_image(root / 'train/P0001.png', pixels_of('P0001')), 'twice'),
    (lambda root: (root / 'train/labelTxt/P0002.txt').rename(
        root / 'train/labelTxt/P0008.txt'), r'P0002.png has no label file'),
    (lambda root: (root / 'train/labelTxt/P0001.txt').write_text('1 2 3 ship\n'),
     r'P0001.txt, line 1 is no box'),
    (lambda root: write_labels(root / 'train/labelTxt-v1.0/P0001.txt', ''),
     'keep those of version 1.0'),
    (lambda root: (root / 'train/labelTxt/P0001.txt').write_text(
        '0 0 9 0 9 9 0 9 container-crane 0\n'), r"line 1 has the class 'container-crane'"),
    (lambda root: (root / 'train/part1/P0001.png').write_bytes(
        (root / 'train/part1/P0001.png').read_bytes()[:3000]), r'P0001.png'),
])
def test_a_damaged_download_is_refused_in_one_line(
        prepare, user_error, download, tmp_path, damage, message):
    damage(download)
    with pytest.raises((user_error, ValueError), match=message) as error:
        prepare()
    assert '\n' not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ['download']


@pytest.mark.parametrize('options, name', [
    (['--overlap', '100'], 'overlap'), (['--rates', '0'], 'rates'), (['--keep', '1.5'], 'keep')])
def test_options_out_of_range_are_refused(prepare, user_error, options, name):
    with pytest.raises(user_error, match=name):
        prepare(*options)


def test_the_real_sets_have_their_published_counts(dota, converter):
    assert dota.IMAGES == dict(train=1411, val=458, test=937)
    assert len(dota.CLASSES) == 15
    dior = converter('dior')
    assert sum(dior.IMAGES.values()) == 23463
    assert len(dior.CLASSES) == 20


XML = '<annotation><size><width>{0}</width><height>{0}</height></size>{1}</annotation>'
OBJECT = ('<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>'
          '<ymax>{}</ymax></bndbox></object>')
DIOR = dict(train=1, val=1, test=1)


@pytest.fixture
def dior(tmp_path):
    root = tmp_path / 'dior_download'
    boxes = dict(
        a=[('airplane', 10, 20, 60, 50), ('expressway-service-area', 700, 0, 801, 9)],
        b=[('vehicle', 5, 5, 5, 30)], c=[('windmill', 1, 2, 3, 4)])
    for name, split in zip('abc', DIOR):
        folder = 'JPEGImages-test' if split == 'test' else 'JPEGImages-trainval'
        write_image(root / folder / f'{name}.jpg', np.full((800, 800, 3), 99, np.uint8))
        write_labels(root / 'Annotations/Horizontal Bounding Boxes' / f'{name}.xml',
                     XML.format(800, ''.join(OBJECT.format(*box) for box in boxes[name])))
        write_labels(root / 'ImageSets' / f'{split}.txt', f'{name}\n')
    return root


@pytest.fixture
def prepare_dior(converter, dior, tmp_path):
    def run():
        out = tmp_path / 'dior'
        converter('dior').prepare(SimpleNamespace(folder=dior, out=out, workers=1), DIOR)
        return out

    return run


def test_dior_becomes_coco(prepare_dior):
    out = prepare_dior()
    coco = {split: json.loads((out / 'annotations' / f'{split}.json').read_text())
            for split in ('train', 'val', 'trainval', 'test')}
    assert [image['file_name'] for image in coco['trainval']['images']] == ['a.jpg', 'b.jpg']
    names = [item['name'] for item in coco['train']['categories']]
    found = [(names[item['category_id'] - 1], item['bbox'])
             for item in coco['train']['annotations']]
    # cut at the border of the image; names as DIOR writes them
    assert found == [('airplane', [10, 20, 50, 30]),
                     ('Expressway-Service-area', [700, 0, 100, 9])]
    assert coco['val']['annotations'] == [], 'a box without area is left out'
    assert sorted(file.name for file in (out / 'images').iterdir()) == \
        ['a.jpg', 'b.jpg', 'c.jpg']


@pytest.mark.parametrize('damage, message', [
    (lambda root: (root / 'JPEGImages-test/c.jpg').unlink(), r'images \(2 of 3\)'),
    (lambda root: (root / 'Annotations/Horizontal Bounding Boxes/a.xml').unlink(),
     r'labels \(2 of 3\)'),
    (lambda root: (root / 'ImageSets/val.txt').unlink(), r'val.txt \(0 of 1\)'),
    (lambda root: (root / 'ImageSets/val.txt').write_text('a\n'), 'name an image twice'),
    (lambda root: (root / 'Annotations/Horizontal Bounding Boxes/a.xml').write_text('<a>'),
     'a.xml is damaged'),
    (lambda root: (root / 'Annotations/Horizontal Bounding Boxes/a.xml').write_text(
        XML.format(800, OBJECT.format('zebra', 1, 2, 3, 4))), "class 'zebra'"),
    (lambda root: write_image(root / 'JPEGImages-test/c.jpg',
                              np.zeros((40, 800, 3), np.uint8)), '800 x 40 pixels'),
    (lambda root: (root / 'JPEGImages-test/c.jpg').write_bytes(b''), 'is empty'),
])
def test_a_damaged_dior_is_refused_in_one_line(
        prepare_dior, user_error, dior, tmp_path, damage, message):
    damage(dior)
    with pytest.raises((user_error, ValueError), match=message) as error:
        prepare_dior()
    assert '\n' not in str(error.value) and not (tmp_path / 'dior').exists()

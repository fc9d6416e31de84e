"""The tools that prepare scene classification sets."""
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config

DATASETS = Path(__file__).resolve().parents[2] / 'configs/classification/_base_/datasets'


@pytest.fixture
def scenes(converter):
    return converter('_scene_classes')


@pytest.fixture
def small_set(scenes):
    return scenes.SceneSet('Small', dict(lake=5, Beach=10), '.png', (7, 8), (20, 60))


def write_images(folder, names, height=8):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (height, 8, 3), np.uint8)
        assert cv2.imwrite(str(path), pixels)
    return folder


@pytest.fixture
def images(tmp_path):
    """Class folders of a complete download, two levels below it."""
    names = [f'lake/l{i}.png' for i in range(5)] + [f'Beach/b{i}.PNG' for i in range(10)]
    images = write_images(tmp_path / 'download' / 'unpacked' / 'Images', names)
    (images / 'lake' / 'Thumbs.db').touch()
    (tmp_path / 'download' / 'readme').mkdir()
    return images


@pytest.fixture
def prepare(scenes, small_set, images, tmp_path):
    """Function that prepares the small set in ``out``."""
    args = SimpleNamespace(folder=tmp_path / 'download', out=tmp_path / 'out', workers=1)

    def run():
        scenes.prepare(small_set, args)
        return args.out

    return run


def lines_of(path):
    return path.read_text().splitlines()


def test_lists_of_a_complete_set(prepare, images):
    out = prepare()
    assert sorted(path.name for path in out.iterdir()) == ['classes.txt', 'images', 'splits']
    assert lines_of(out / 'classes.txt') == ['lake', 'Beach']
    assert (out / 'images').resolve() == images
    for share, counts in ((20, [1, 2]), (60, [3, 6])):
        train, test = (lines_of(out / 'splits' / f'{part}_{share}.txt')
                       for part in ('train', 'test'))
        assert [sum(line.endswith(f' {label}') for line in train) for label in (0, 1)] == counts
        assert not set(train) & set(test)
        assert sorted(train + test) == sorted(
            [f'lake/l{i}.png 0' for i in range(5)] + [f'Beach/b{i}.PNG 1' for i in range(10)])
    small, large = (set(lines_of(out / 'splits' / f'train_{share}.txt')) for share in (20, 60))
    assert small < large


def test_recipes_read_the_lists(prepare):
    from cmid_mm.datasets import ImageFolder
    dataset = ImageFolder(str(prepare()), 'images', 'splits/test_20.txt', with_label=True,
                          metainfo=dict(classes=('lake', 'Beach')))
    assert len(dataset) == 12
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        assert dataset.CLASSES[info['gt_label']] == Path(info['img_path']).parent.name


def test_lists_depend_on_names_alone(scenes):
    """Pinned: results on another split could not be compared with older ones."""
    pinned = ['a/0.png 0\n', 'a/2.png 0\n', 'a/8.png 0\n', 'b/0.png 1\n']
    files = dict(a=[f'a/{i}.png' for i in range(10)], b=[f'b/{i}.png' for i in range(4)])
    assert scenes.split_lists(files, 30)['train'] == pinned
    assert scenes.split_lists(dict(a=files['a'], b=[]), 30)['train'] == pinned[:3]


@pytest.mark.parametrize('change, message', [
    (lambda images: (images / 'lake/l3.png').unlink(), r'incomplete: lake \(4 of 5\)'),
    (lambda images: (images / 'lake').rename(images / 'pond'), r'incomplete: lake \(0 of 5\)'),
    (lambda images: write_images(images, ['pond/p.png']), r'too many .*pond \(1 of 0\)'),
    (lambda images: write_images(images, ['lake/l9.png']), r'too many .*lake \(6 of 5\)'),
    (lambda images: write_images(images, ['lake/l3.png'], 6),
     r'1 images of Small do not have 7 to 8 pixels a side, e\.g\. .*l3\.png \(8 x 6\)'),
    (lambda images: (images / 'Beach/b3.PNG').write_bytes(
        (images / 'Beach/b3.PNG').read_bytes()[:60]), r'b3\.PNG .*(damaged|cut off)'),
    (lambda images: [images.joinpath(name).rename(images / f'{name} x')
                     for name in ('lake', 'Beach')], r'no class folder of Small \(lake, Beach'),
])
def test_an_incomplete_download_is_refused(prepare, images, user_error, tmp_path, change,
                                           message):
    change(images)
    with pytest.raises((user_error, ValueError), match=message) as error:
        prepare()
    assert '\n' not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['download']


@pytest.mark.parametrize('name, images, classes, shares', [
    ('ucm', 2100, 21, (80, )), ('aid', 10_000, 30, (20, 50)), ('nwpu', 31_500, 45, (10, 20))])
def test_tools_and_recipes_agree_about_the_set(scenes, monkeypatch, tmp_path, capsys, name,
                                               images, classes, shares):
    published = scenes.SETS[name]
    assert sum(published.classes.values()) == images
    assert published.shares == shares
    recipe = Config.fromfile(DATASETS / f'{name}.py')
    assert recipe.num_classes == classes == len(published.classes)
    assert tuple(recipe.folder.metainfo.classes) == tuple(published.classes)
    for share in shares:
        for part in ('train', 'test'):
            assert recipe[f'{part}_{share}'].ann_file == f'splits/{part}_{share}.txt'
    # the tool on a set of ten small images a class
    few = published._replace(classes=dict.fromkeys(published.classes, 10), sides=(8, 8))
    write_images(tmp_path / 'download',
                 [f'{label}/{i}{few.ending}' for label in few.classes for i in range(10)])
    monkeypatch.setitem(scenes.SETS, name, few)
    scenes.main('', name, [str(tmp_path / 'download'), '--out', str(tmp_path / 'out'),
                           '--workers', '1'])
    train = lines_of(tmp_path / 'out' / 'splits' / f'train_{shares[0]}.txt')
    assert len(train) == classes * shares[0] // 10
    assert f'{10 * classes} images in {classes} classes' in capsys.readouterr().out

"""The tools that prepare scene classification sets and divide a user's own data."""
import importlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

REPOSITORY = Path(__file__).resolve().parents[2]
CONVERTERS = REPOSITORY / 'tools' / 'dataset_converters'
DATASETS = REPOSITORY / 'configs' / 'classification' / '_base_' / 'datasets'


@pytest.fixture
def tool(monkeypatch):
    """Function that imports a tool of tools/dataset_converters by name."""
    monkeypatch.syspath_prepend(CONVERTERS)
    return importlib.import_module


@pytest.fixture
def scenes(tool):
    return tool('_scene_classes')


@pytest.fixture
def user_error(tool):
    return tool('_preparation').UserError


@pytest.fixture
def small_set(scenes):
    """What a very small set must hold."""
    return scenes.SceneSet('Small', dict(lake=5, Beach=10), '.png', (7, 8), (20, 60))


def write_images(folder, names, size=8):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (size, 8, 3), np.uint8)
        assert cv2.imwrite(str(path), pixels)
    return folder


@pytest.fixture
def download(tmp_path):
    """A complete download, two levels above its class folders."""
    names = [f'lake/l{i}.png' for i in range(5)] + [f'Beach/b{i}.PNG' for i in range(10)]
    write_images(tmp_path / 'download' / 'unpacked' / 'Images', names)
    (tmp_path / 'download' / 'unpacked' / 'Images' / 'lake' / 'Thumbs.db').touch()
    (tmp_path / 'download' / 'readme').mkdir()
    return tmp_path / 'download'


def lines_of(path):
    return path.read_text().splitlines()


def test_lists_of_a_complete_set(scenes, small_set, download, tmp_path):
    out = tmp_path / 'data' / 'small'
    scenes.prepare(small_set, download, out, workers=2)
    assert sorted(path.name for path in out.iterdir()) == ['classes.txt', 'images', 'splits']
    assert lines_of(out / 'classes.txt') == ['lake', 'Beach']
    assert (out / 'images').resolve() == download / 'unpacked' / 'Images'
    for share, counts in ((20, [1, 2]), (60, [3, 6])):
        train, test = (lines_of(out / 'splits' / f'{part}_{share}.txt')
                       for part in ('train', 'test'))
        assert [sum(line.endswith(f' {label}') for line in train) for label in (0, 1)] == counts
        assert not set(train) & set(test)
        assert sorted(train + test) == sorted(
            [f'lake/l{i}.png 0' for i in range(5)] + [f'Beach/b{i}.PNG 1' for i in range(10)])
    small, large = (set(lines_of(out / 'splits' / f'train_{share}.txt')) for share in (20, 60))
    assert small < large


def test_recipes_read_the_lists(scenes, small_set, download, tmp_path):
    from cmid_mm.datasets import ImageFolder
    out = tmp_path / 'small'
    scenes.prepare(small_set, download, out, workers=1)
    dataset = ImageFolder(str(out), 'images', 'splits/test_20.txt', with_label=True,
                          metainfo=dict(classes=('lake', 'Beach')))
    assert len(dataset) == 12
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        assert dataset.CLASSES[info['gt_label']] == Path(info['img_path']).parent.name


def test_lists_depend_on_names_alone(scenes):
    """Pinned: results on a split that moved would not compare with older ones."""
    pinned = ['a/0.png 0', 'a/2.png 0', 'a/8.png 0', 'b/0.png 1']
    files = dict(a=[f'a/{i}.png' for i in range(10)], b=[f'b/{i}.png' for i in range(4)])
    train = scenes.split_lists(files, 30)['train'].splitlines()
    assert train == pinned
    other = scenes.split_lists(dict(a=files['a'], b=[]), 30)['train'].splitlines()
    assert other == [line for line in pinned if line.startswith('a')]


@pytest.mark.parametrize('change, message', [
    (lambda images: (images / 'lake/l3.png').unlink(), r'incomplete: lake \(4 of 5\)'),
    (lambda images: (images / 'lake').rename(images / 'pond'), r'incomplete: lake \(0 of 5\)'),
    (lambda images: write_images(images, ['pond/p.png']), r'more than .*pond \(1, unknown\)'),
    (lambda images: write_images(images, ['lake/l9.png']), r'more than .*lake \(6 of 5\)'),
    (lambda images: write_images(images, ['lake/l3.png'], 6),
     r'1 images of Small do not have 7 to 8 pixels a side, e\.g\. .*l3\.png \(8 x 6\)'),
    (lambda images: (images / 'Beach/b3.PNG').write_bytes(
        (images / 'Beach/b3.PNG').read_bytes()[:60]), r'b3\.PNG .*(damaged|cut off)'),
])
def test_an_incomplete_download_is_refused(scenes, small_set, user_error, download, tmp_path,
                                           change, message):
    change(download / 'unpacked' / 'Images')
    with pytest.raises(user_error, match=message) as error:
        scenes.prepare(small_set, download, tmp_path / 'out', workers=1)
    assert '\n' not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['download']


def test_a_folder_without_the_set_is_refused(scenes, small_set, user_error, tmp_path):
    (tmp_path / 'other').mkdir()
    with pytest.raises(user_error, match=r'no class folder of Small \(lake, Beach'):
        scenes.prepare(small_set, tmp_path, tmp_path / 'out')


@pytest.mark.parametrize('name, images, classes, shares', [
    ('ucm', 2100, 21, (80, )), ('aid', 10_000, 30, (20, 50)), ('nwpu', 31_500, 45, (10, 20))])
def test_tools_and_recipes_agree_about_the_set(tool, name, images, classes, shares):
    prepared = tool(name).SET
    assert sum(prepared.classes.values()) == images
    assert prepared.shares == shares
    recipe = Config.fromfile(DATASETS / f'{name}.py')
    assert recipe.num_classes == classes == len(prepared.classes)
    assert tuple(recipe.folder.metainfo.classes) == tuple(prepared.classes)
    for share in shares:
        for part in ('train', 'test'):
            assert recipe[f'{part}_{share}'].ann_file == f'splits/{part}_{share}.txt'


@pytest.mark.parametrize('name', ['ucm', 'aid', 'nwpu'])
def test_tools_run_on_their_own_set(tool, monkeypatch, tmp_path, name, capsys):
    module = tool(name)
    few = module.SET._replace(classes=dict.fromkeys(module.SET.classes, 10), sides=(8, 8))
    names = [f'{label}/{i}{few.ending}' for label in few.classes for i in range(10)]
    write_images(tmp_path / 'download', names)
    monkeypatch.setattr(module, 'SET', few)
    module.main([str(tmp_path / 'download'), '--out', str(tmp_path / 'out'), '--workers', '1'])
    share = few.shares[0]
    assert len(lines_of(tmp_path / 'out' / 'splits' / f'train_{share}.txt')) == (
        len(few.classes) * share // 10)
    assert f'{len(names):,} images in {len(few.classes)} classes' in capsys.readouterr().out


@pytest.fixture
def split(tool):
    return tool('_splitting').split


def test_split_is_a_stratified_partition(split):
    files = [f'{i}' for i in range(110)]
    strata = ['a'] * 100 + ['b'] * 10
    parts = split(files, strata, dict(val=0.2, test=0.1), seed=1)
    assert sorted(i for positions in parts.values() for i in positions) == list(range(110))
    of_b = {part: sum(i >= 100 for i in positions) for part, positions in parts.items()}
    assert of_b == dict(train=7, val=2, test=1)
    assert {part: len(positions) for part, positions in parts.items()} == dict(
        train=77, val=22, test=11)
    assert parts == split(files, strata, dict(val=0.2, test=0.1), seed=1)
    assert parts != split(files, strata, dict(val=0.2, test=0.1), seed=2)


def test_groups_stay_on_one_side(split):
    files = [f'{scene}_{row}_{column}' for scene in 'abcdefghij'
             for row in range(3) for column in range(4)]
    parts = split(files, [None] * 120, dict(val=0.2), group=r'^([a-z])_')
    sides = {part: {files[i][0] for i in positions} for part, positions in parts.items()}
    assert not sides['train'] & sides['val'] and len(sides['val']) == 2
    assert parts == split(files, [None] * 120, dict(val=0.2), group=r'^[a-z]')
    # without groups, tiles of most scenes lie on both sides
    loose = split(files, [None] * 120, dict(val=0.2))
    assert len({files[i][0] for i in loose['val']}) > 2


@pytest.mark.parametrize('shares, group, message', [
    (dict(val=1.), None, 'leave something to train'),
    (dict(val=-0.1), None, 'above 0'),
    (dict(val=0.5, test=0.5), None, 'leave something to train'),
    (dict(val=0.2), '(', r'--group \( is no regular expression'),
    (dict(val=0.2), 'x_', '--group x_ does not fit a/1'),
    (dict(val=0.2), '/', 'val stays empty: 1 group.* smaller groups'),
])
def test_split_refuses(split, user_error, shares, group, message):
    with pytest.raises(user_error, match=message):
        split(['a/1', 'a/2', 'a/3'], [0, 0, 0], shares, group=group)


def run_split(tool, *arguments):
    tool('split_dataset').main([str(argument) for argument in arguments])


def test_class_folders(tool, tmp_path, capsys):
    names = [f'{label}/x{i}.png' for label in ('b', 'a') for i in range(10)] + ['c/only.png']
    folder = write_images(tmp_path / 'mine', names)
    run_split(tool, folder, '--val-share', 0.3)
    assert lines_of(folder / 'classes.txt') == ['a', 'b', 'c']
    train, val = (lines_of(folder / f'{part}.txt') for part in ('train', 'val'))
    assert len(train) == 15 and len(val) == 6
    labels = dict(a=0, b=1, c=2)
    assert sorted(train + val) == sorted(f'{name} {labels[name[0]]}' for name in names)
    assert 'val has no image of c' in capsys.readouterr().out
    from cmid_mm.datasets import ImageFolder
    assert len(ImageFolder(str(folder), ann_file='val.txt', with_label=True)) == 6


@pytest.mark.parametrize('folders', [('images', 'masks'), ('A', 'B', 'label')])
def test_folders_of_partners(tool, user_error, tmp_path, folders):
    stems = [f'sub/{scene}_{i}' for scene in 'abcde' for i in range(2)]
    for name in folders:
        ending = 'jpg' if name == 'images' else 'png'
        write_images(tmp_path / name, [f'{stem}.{ending}' for stem in stems])
    run_split(tool, tmp_path, '--group', '([a-e])_', '--test-share', 0.2)
    lists = {part: lines_of(tmp_path / f'{part}.txt') for part in ('train', 'val', 'test')}
    assert {part: len(lines) for part, lines in lists.items()} == dict(train=6, val=2, test=2)
    assert sorted(sum(lists.values(), [])) == stems
    assert len({line[4] for line in lists['val']}) == 1
    # what is there is not replaced
    with pytest.raises(user_error, match=r'train\.txt exists'):
        run_split(tool, tmp_path)
    run_split(tool, tmp_path, '--out', tmp_path / 'lists' / 'deep')
    assert not (tmp_path / 'lists' / 'deep' / 'test.txt').exists()
    (tmp_path / folders[-1] / f'{stems[3]}.png').unlink()
    with pytest.raises(user_error, match=f'1 lack a partner, e.g. {stems[3]} is missing in '
                                         f'{folders[-1]}$'):
        run_split(tool, tmp_path, '--out', tmp_path / 'other')
    assert not (tmp_path / 'other').exists()


def test_lists_of_partners_are_what_mmseg_reads(tool, tmp_path):
    datasets = pytest.importorskip('mmseg.datasets')
    for name in ('images', 'masks'):
        write_images(tmp_path / name, [f'tile.v2_{i}.png' for i in range(10)])
    run_split(tool, tmp_path)
    dataset = datasets.BaseSegDataset(
        ann_file='val.txt', data_root=str(tmp_path), img_suffix='.png', pipeline=[],
        data_prefix=dict(img_path='images', seg_map_path='masks'))
    assert len(dataset) == 2
    for i in range(2):
        info = dataset.get_data_info(i)
        assert Path(info['img_path']).is_file() and Path(info['seg_map_path']).is_file()


def test_names_that_lists_cannot_hold_are_refused(tool, user_error, tmp_path):
    write_images(tmp_path / 'images', ['a.png', 'b.jpg', 'c.png'])
    write_images(tmp_path / 'masks', ['a.png', 'b.png', 'c.png'])
    with pytest.raises(user_error, match=r'end in \.jpg and in \.png'):
        run_split(tool, tmp_path)
    for name in ('A', 'B', 'label'):
        write_images(tmp_path / 'pairs' / name, [f'{i}.v2.png' for i in range(9)])
    with pytest.raises(user_error, match=r'0\.v2 has a dot'):
        run_split(tool, tmp_path / 'pairs')


def test_coco(tool, tmp_path):
    images = [dict(id=10 + i, file_name=f'{"abcde"[i // 4]}_{i}.png', width=8, height=8)
              for i in range(20)]
    annotations = [dict(id=i, image_id=10 + i // 2, category_id=1, bbox=[0, 0, 2, 2])
                   for i in range(20)]
    file = tmp_path / 'all.json'
    file.write_text(json.dumps(dict(info=dict(year=2024), images=images,
                                    annotations=annotations, categories=[dict(id=1)])))
    run_split(tool, file)
    parts = {part: json.loads((tmp_path / f'{part}.json').read_text())
             for part in ('train', 'val')}
    for part in parts.values():
        assert part['info'] == dict(year=2024) and part['categories'] == [dict(id=1)]
        ids = {image['id'] for image in part['images']}
        assert part['annotations'] == [a for a in annotations if a['image_id'] in ids]
    assert len(parts['val']['images']) == 4
    # ten images have objects, ten have none: two of each validate
    assert len(parts['val']['annotations']) == 4
    assert sum((part['images'] for part in parts.values()), []) != images
    run_split(tool, file, '--group', '^(.)_', '--out', tmp_path / 'grouped')
    grouped = json.loads((tmp_path / 'grouped' / 'val.json').read_text())
    assert len({image['file_name'][0] for image in grouped['images']}) in (1, 2)
    assert len(grouped['images']) % 4 == 0


@pytest.mark.parametrize('content, message', [
    ('no json', 'is no COCO file'), ('[]', 'is no COCO file'),
    ('{"images": [], "annotations": 3}', 'is no COCO file'),
    ('{"images": [], "annotations": [{"image_id": 7}]}', '1 image_id of .* e.g. 7')])
def test_what_is_no_coco_file_is_refused(tool, user_error, tmp_path, content, message):
    (tmp_path / 'x.json').write_text(content)
    with pytest.raises(user_error, match=message):
        run_split(tool, tmp_path / 'x.json')


def test_unknown_layouts_are_refused(tool, user_error, tmp_path):
    with pytest.raises(user_error, match='gone does not exist'):
        run_split(tool, tmp_path / 'gone')
    with pytest.raises(user_error, match='holds no image'):
        run_split(tool, tmp_path)
    write_images(tmp_path, ['alone/a.png', 'alone/b.png'])
    with pytest.raises(user_error, match='one folder of images only, alone'):
        run_split(tool, tmp_path)
    write_images(tmp_path, ['loose.png'])
    with pytest.raises(user_error, match=r'loose\.png lies in no class folder'):
        run_split(tool, tmp_path)


def test_a_tool_needs_no_path_of_its_own(monkeypatch, tmp_path):
    """From any folder, without an installed package."""
    import subprocess
    result = subprocess.run([sys.executable, CONVERTERS / 'split_dataset.py', 'gone'],
                            cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.stderr == ('split_dataset.py: error: gone does not exist; give a folder or '
                             'a COCO file\n')

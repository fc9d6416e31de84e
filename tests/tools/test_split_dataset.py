"""The tool that divides a user's own data into train and val."""
import json
from pathlib import Path

import pytest
from test_classification_preparation import lines_of, write_images


@pytest.fixture
def tool(converter):
    return converter('split_dataset')


@pytest.fixture
def run(tool):
    return lambda *arguments: tool.main([str(argument) for argument in arguments])


def test_split_is_a_stratified_partition(tool):
    files = [f'{i}' for i in range(110)]
    strata = ['a'] * 100 + ['b'] * 10
    parts = tool.split(files, strata, dict(val=0.2, test=0.1), seed=1)
    assert sorted(i for indices in parts.values() for i in indices) == list(range(110))
    of_b = {part: sum(i >= 100 for i in indices) for part, indices in parts.items()}
    assert of_b == dict(train=7, val=2, test=1)
    assert {part: len(indices) for part, indices in parts.items()} == dict(
        train=77, val=22, test=11)
    assert parts == tool.split(files, strata, dict(val=0.2, test=0.1), seed=1)
    assert parts != tool.split(files, strata, dict(val=0.2, test=0.1), seed=2)


def test_groups_stay_together(tool):
    files = [f'{scene}_{row}_{column}' for scene in 'abcdefghij'
             for row in range(3) for column in range(4)]
    parts = tool.split(files, [None] * 120, dict(val=0.2), group=r'^([a-z])_')
    scenes = {part: {files[i][0] for i in indices} for part, indices in parts.items()}
    assert not scenes['train'] & scenes['val'] and len(scenes['val']) == 2
    assert parts == tool.split(files, [None] * 120, dict(val=0.2), group=r'^[a-z]')
    # without groups, tiles of most scenes are in both parts
    loose = tool.split(files, [None] * 120, dict(val=0.2))
    assert len({files[i][0] for i in loose['val']}) > 2


@pytest.mark.parametrize('shares, group, message', [
    (dict(val=1.), None, 'leave something to train'),
    (dict(val=-0.1), None, 'above 0'),
    (dict(val=0.5, test=0.5), None, 'leave something to train'),
    (dict(val=0.2), '(', r'--group \( is no regular expression'),
    (dict(val=0.2), 'x_', '--group x_ does not fit a/1'),
    (dict(val=0.2), '/', 'val stays empty: 1 group.* smaller groups'),
])
def test_split_refuses(tool, user_error, shares, group, message):
    with pytest.raises(user_error, match=message):
        tool.split(['a/1', 'a/2', 'a/3'], [0, 0, 0], shares, group=group)


def test_class_folders(run, tmp_path, capsys):
    names = [f'{label}/x{i}.png' for label in ('b', 'a') for i in range(10)] + ['c/only.png']
    folder = write_images(tmp_path / 'mine', names)
    run(folder, '--val-share', 0.3)
    assert lines_of(folder / 'classes.txt') == ['a', 'b', 'c']
    train, val = (lines_of(folder / f'{part}.txt') for part in ('train', 'val'))
    assert len(train) == 15 and len(val) == 6
    labels = dict(a=0, b=1, c=2)
    assert sorted(train + val) == sorted(f'{name} {labels[name[0]]}' for name in names)
    assert 'val has no image of c' in capsys.readouterr().out
    from cmid_mm.datasets import ImageFolder
    assert len(ImageFolder(str(folder), ann_file='val.txt', with_label=True)) == 6


@pytest.mark.parametrize('folders', [('images', 'masks'), ('A', 'B', 'label')])
def test_folders_of_partners(run, user_error, tmp_path, folders):
    stems = [f'sub/{scene}_{i}' for scene in 'abcde' for i in range(2)]
    for name in folders:
        ending = 'jpg' if name == 'images' else 'png'
        write_images(tmp_path / name, [f'{stem}.{ending}' for stem in stems])
    run(tmp_path, '--group', '([a-e])_', '--test-share', 0.2)
    lists = {part: lines_of(tmp_path / f'{part}.txt') for part in ('train', 'val', 'test')}
    assert {part: len(lines) for part, lines in lists.items()} == dict(train=6, val=2, test=2)
    assert sorted(sum(lists.values(), [])) == stems
    assert len({line[4] for line in lists['val']}) == 1
    # an existing list is not replaced
    with pytest.raises(user_error, match=r'train\.txt exists'):
        run(tmp_path)
    run(tmp_path, '--out', tmp_path / 'lists' / 'deep')
    assert sorted(path.name for path in (tmp_path / 'lists' / 'deep').iterdir()) == [
        'train.txt', 'val.txt']
    (tmp_path / folders[-1] / f'{stems[3]}.png').unlink()
    with pytest.raises(user_error, match=f'1 lack a partner, e.g. {stems[3]} is missing in '
                                         f'{folders[-1]}$'):
        run(tmp_path, '--out', tmp_path / 'other')
    assert not (tmp_path / 'other').exists()


def test_mmseg_reads_the_lists_of_partners(run, tmp_path):
    datasets = pytest.importorskip('mmseg.datasets')
    for name in ('images', 'masks'):
        write_images(tmp_path / name, [f'tile.v2_{i}.png' for i in range(10)])
    run(tmp_path)
    dataset = datasets.BaseSegDataset(
        ann_file='val.txt', data_root=str(tmp_path), img_suffix='.png', pipeline=[],
        data_prefix=dict(img_path='images', seg_map_path='masks'))
    assert len(dataset) == 2
    for i in range(2):
        info = dataset.get_data_info(i)
        assert Path(info['img_path']).is_file() and Path(info['seg_map_path']).is_file()


def test_coco(run, tmp_path):
    images = [dict(id=10 + i, file_name=f'{"abcde"[i // 4]}_{i}.png', width=8, height=8)
              for i in range(20)]
    annotations = [dict(id=i, image_id=10 + i // 2, category_id=1, bbox=[0, 0, 2, 2])
                   for i in range(20)]
    file = tmp_path / 'all.json'
    file.write_text(json.dumps(dict(info=dict(year=2024), images=images,
                                    annotations=annotations, categories=[dict(id=1)])))
    run(file)
    parts = {part: json.loads((tmp_path / f'{part}.json').read_text())
             for part in ('train', 'val')}
    for part in parts.values():
        assert part['info'] == dict(year=2024) and part['categories'] == [dict(id=1)]
        ids = {image['id'] for image in part['images']}
        assert part['annotations'] == [a for a in annotations if a['image_id'] in ids]
    assert len(parts['val']['images']) == 4
    # ten images have objects, ten have none: val has two of each
    assert len(parts['val']['annotations']) == 4
    run(file, '--group', '^(.)_', '--out', tmp_path / 'grouped')
    grouped = json.loads((tmp_path / 'grouped' / 'val.json').read_text())
    assert len({image['file_name'][0] for image in grouped['images']}) in (1, 2)
    assert len(grouped['images']) % 4 == 0


@pytest.mark.parametrize('names, content, message', [
    (['images/a.png', 'images/b.jpg', 'images/c.png', 'masks/a.png'], None,
     r'end in \.jpg and in \.png'),
    ([f'{folder}/{i}.v2.png' for folder in ('A', 'B', 'label') for i in range(9)], None,
     r'0\.v2 has a dot'),
    ([], None, 'holds no image'),
    (['alone/a.png', 'alone/b.png'], None, 'one folder of images, alone'),
    (['alone/a.png', 'loose.png'], None, r'loose\.png is in no class folder'),
    ([], 'no json', 'is no COCO file'),
    ([], '[]', 'is no COCO file'),
    ([], '{"images": [], "annotations": 3}', 'is no COCO file'),
    ([], '{"images": [], "annotations": [{"image_id": 7}]}', '1 image_id of .* e.g. 7'),
])
def test_unknown_content_is_refused(run, user_error, tmp_path, names, content, message):
    write_images(tmp_path, names)
    if content:
        (tmp_path / 'x.json').write_text(content)
    with pytest.raises(user_error, match=message):
        run(tmp_path / 'x.json' if content else tmp_path)

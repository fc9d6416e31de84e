"""Written folders hold exactly the generated scenes, in layouts that others read."""
import json

import cv2
import numpy as np
import pytest

from cmid_mm.datasets.scenes import OBJECT_CLASSES, SCENE_CLASSES, generate_scene, write_scenes
from cmid_mm.datasets.scenes import writing as writing_module
from cmid_mm.datasets.scenes.writing import TASKS

NUM, SIZE, SEED = 24, (48, 64), 6


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'scenes'
    summary = write_scenes(folder, NUM, SIZE, seed=SEED, val_share=0.25, show_progress=False)
    return folder, summary


def read(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image[..., ::-1] if image.ndim == 3 else image


def expected(task, number, **more):
    return generate_scene(SEED, TASKS[task] + number, SIZE, **more)


def test_marker_describes_the_folder(written):
    folder, summary = written
    assert json.loads((folder / 'scenes.json').read_text()) == summary
    assert not (folder / 'scenes.json.unfinished').exists()
    for task in TASKS:
        counts = summary['counts'][task]
        assert (counts['train']['scenes'], counts['val']['scenes']) == (18, 6)
        assert set(counts['train']['classes']) == set(SCENE_CLASSES)


def test_classification_folders_are_read_by_mmpretrain(written):
    from mmpretrain.datasets import CustomDataset
    folder = written[0] / 'classification'
    dataset = CustomDataset(data_root=str(folder), data_prefix='train')
    assert sorted(dataset.CLASSES) == sorted(SCENE_CLASSES) and len(dataset) == 18
    # six images, and yet a folder for each of the twelve classes
    assert {path.name for path in (folder / 'val').iterdir()} == set(SCENE_CLASSES)
    path = next((folder / 'train' / 'forest').iterdir())
    scene = expected('classification', int(path.stem))
    assert SCENE_CLASSES[scene.scene_class] == 'forest'
    np.testing.assert_array_equal(read(path), scene.image)


def test_segmentation_and_change_round_trip(written):
    folder = written[0] / 'segmentation'
    for split, numbers in (('train', range(18)), ('val', range(18, 24))):
        assert len(list((folder / 'images' / split).iterdir())) == len(numbers)
        for number in (numbers[0], numbers[-1]):
            scene = expected('segmentation', number)
            name = f'{split}/{number:06d}.png'
            np.testing.assert_array_equal(read(folder / 'images' / name), scene.image)
            np.testing.assert_array_equal(read(folder / 'masks' / name), scene.mask)
    scene = expected('change', 20, change=True)
    for name, pixels in dict(A=scene.image, B=scene.image2, label=scene.change * 255).items():
        path = written[0] / 'change' / 'val' / name / '000020.png'
        np.testing.assert_array_equal(read(path), pixels)


def test_coco_round_trip(written):
    folder = written[0] / 'detection'
    for split in ('train', 'val'):
        content = json.loads((folder / 'annotations' / f'{split}.json').read_text())
        assert [c['name'] for c in content['categories']] == list(OBJECT_CLASSES)
        assert len({a['id'] for a in content['annotations']}) == len(content['annotations'])
        for image in content['images']:
            scene = expected('detection', int(image['file_name'][:6]))
            mine = [a for a in content['annotations'] if a['image_id'] == image['id']]
            boxes = np.array([a['bbox'] for a in mine], np.float32).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            np.testing.assert_array_equal(boxes, scene.boxes)
            assert [a['category_id'] - 1 for a in mine] == scene.labels.tolist()
            quads = [a['segmentation'][0] for a in mine]
            np.testing.assert_allclose(np.reshape(quads, (-1, 8)), scene.quads, atol=0.006)
            assert (image['height'], image['width']) == SIZE
        np.testing.assert_array_equal(read(folder / split / image['file_name']), scene.image)


def test_second_call_leaves_everything_as_it_is(written, monkeypatch):
    folder, summary = written
    monkeypatch.setattr(writing_module, '_Scenes', None)
    again = write_scenes(folder, NUM, list(SIZE), seed=SEED, val_share=0.25)
    assert again == summary


def test_incomplete_and_other_scenes_are_written_anew(tmp_path, monkeypatch):
    arguments = dict(size=16, tasks=['segmentation'], show_progress=False)

    def interrupted(*_):
        raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(writing_module, 'read_in_parallel', interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_scenes(tmp_path / 'out', 12, **arguments)
    assert not (tmp_path / 'out' / 'scenes.json').exists()
    stray = tmp_path / 'out' / 'segmentation' / 'images' / 'train' / 'stray.png'
    stray.parent.mkdir(parents=True)
    stray.touch()
    summary = write_scenes(tmp_path / 'out', 12, **arguments)
    assert not stray.exists() and summary['arguments']['num'] == 12
    summary = write_scenes(tmp_path / 'out', 6, **arguments)
    assert summary['arguments']['num'] == 6
    assert len(list((tmp_path / 'out').glob('segmentation/images/*/*.png'))) == 6


def test_files_do_not_depend_on_the_workers(tmp_path):
    for workers in (0, 2):
        write_scenes(tmp_path / str(workers), 15, 32, tasks=['detection'], workers=workers,
                     show_progress=False)
    paths = sorted(p.relative_to(tmp_path / '0') for p in (tmp_path / '0').rglob('*.*'))
    assert len(paths) == 15 + 3
    for path in paths:
        assert (tmp_path / '0' / path).read_bytes() == (tmp_path / '2' / path).read_bytes()


def test_many_bands_become_geotiffs(tmp_path):
    import rasterio
    write_scenes(tmp_path / 'out', 5, 32, bands=5, tasks=['change'], show_progress=False)
    scene = generate_scene(0, TASKS['change'], 32, 5, change=True)
    with rasterio.open(tmp_path / 'out/change/train/B/000000.tif') as file:
        np.testing.assert_array_equal(file.read().transpose(1, 2, 0), scene.image2)
        assert file.transform.a == pytest.approx(scene.gsd)


def test_folders_with_other_content_are_refused(tmp_path):
    (tmp_path / 'thesis.txt').write_text('mine')
    with pytest.raises(ValueError, match='holds other things than scenes'):
        write_scenes(tmp_path, 12, 16)
    assert (tmp_path / 'thesis.txt').read_text() == 'mine'


@pytest.mark.parametrize('wrong, message', [
    (dict(num=1), 'both need at least one'), (dict(num=9, tasks=['dance']), 'dance')])
def test_wrong_arguments_are_named(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        write_scenes(tmp_path / 'out', **wrong)

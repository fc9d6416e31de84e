"""Potsdam, Vaihingen, LEVIR-CD and CDD: what they write, and what they refuse."""
import sys
import warnings
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

CONVERTERS = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_converters'
COLOURS = dict(boundary=(0, 0, 0), impervious_surface=(255, 255, 255), building=(0, 0, 255),
               low_vegetation=(0, 255, 255), tree=(0, 255, 0), car=(255, 255, 0),
               clutter=(255, 0, 0))


@pytest.fixture
def converters(monkeypatch):
    monkeypatch.syspath_prepend(CONVERTERS)
    import _isprs
    import _pairs
    return dict(isprs=_isprs, pairs=_pairs)


@pytest.fixture
def user_error(converters):
    return sys.modules['_errors'].UserError


def write_tiff(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path, 'w', driver='GTiff', height=pixels.shape[0],
                           width=pixels.shape[1], count=pixels.shape[2],
                           dtype='uint8') as file:
            file.write(pixels.transpose(2, 0, 1))


def classes_as_colours(classes):
    return np.array(list(COLOURS.values()), np.uint8)[classes]


@pytest.fixture
def potsdam(converters, tmp_path):
    """A Potsdam of two images of 40 x 40, and its classes (H, W)."""
    import potsdam
    small = potsdam.POTSDAM._replace(train=('2_10', ), test=('7_13', ), size=(40, 40))
    classes, images = {}, {}
    for i, number in enumerate(('2_10', '7_13')):
        rng = np.random.default_rng(i)
        classes[number] = rng.integers(0, 7, (40, 40)).astype(np.uint8)
        images[number] = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        download = tmp_path / 'download'
        write_tiff(download / '2_Ortho_RGB' / f'top_potsdam_{number}_RGB.tif',
                   images[number])
        write_tiff(download / '5_Labels_all_noBoundary' /
                   f'top_potsdam_{number}_label_noBoundary.tif',
                   classes_as_colours(classes[number]))
    return small, download, classes, images


def run_isprs(converters, benchmark, download, out, *options):
    args = converters['isprs'].parse_args(
        '', 'data/none', benchmark,
        [str(download), '--out', str(out), '--workers', '1', '--tile', '32', *options])
    return converters['isprs'].prepare(args, benchmark)


def read(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image if image.ndim == 2 else image[..., ::-1]


def test_potsdam_becomes_tiles_of_class_numbers(converters, potsdam, tmp_path):
    small, download, classes, images = potsdam
    pixels = run_isprs(converters, small, download, tmp_path / 'out')
    for number, split in (('2_10', 'train'), ('7_13', 'val')):
        names = [f'{number}_{top:04d}_{left:04d}.png' for top in (0, 8) for left in (0, 8)]
        for part in ('img_dir', 'ann_dir'):
            folder = tmp_path / 'out' / part / split
            assert sorted(path.name for path in folder.iterdir()) == names
        for name in names:
            top, left = (int(part) for part in name[:-4].split('_')[2:])
            place = np.s_[top:top + 32, left:left + 32]
            assert np.array_equal(
                read(tmp_path / 'out/img_dir' / split / name), images[number][place])
            assert np.array_equal(
                read(tmp_path / 'out/ann_dir' / split / name), classes[number][place])
    assert pixels.total() == 2 * 4 * 32 * 32 and pixels['unknown'] == 0
    assert not list(tmp_path.glob('.*partial'))


def test_what_mmseg_makes_of_the_tiles(converters, potsdam, tmp_path):
    """Boundary and clutter are ignored, the five classes count from 0."""
    pytest.importorskip('mmseg')
    from mmengine.config import Config
    from mmseg.registry import DATASETS
    small, download, classes, _ = potsdam
    run_isprs(converters, small, download, tmp_path / 'out', '--tile', '40')
    config = (CONVERTERS.parents[1] / 'configs/segmentation' /
              'upernet_r50_1xb8-amp-sgd-50e_potsdam.py')
    cfg = Config.fromfile(config)
    from mmengine.registry import init_default_scope
    init_default_scope('mmseg')
    dataset = DATASETS.build(
        dict(cfg.test_dataloader.dataset, data_root=str(tmp_path / 'out')))
    assert dataset.metainfo['classes'] == (
        'impervious_surface', 'building', 'low_vegetation', 'tree', 'car')
    assert len(dataset.metainfo['palette']) == 5
    label = dataset[0]['data_samples'].gt_sem_seg.data[0].numpy()
    wanted = np.array([255, 0, 1, 2, 3, 4, 255])[classes['7_13']]
    assert np.array_equal(label, wanted)


def test_colours_that_are_nearly_right_or_none(converters):
    isprs = converters['isprs']
    colours = np.array([[252, 255, 0], [3, 5, 255], [255, 0, 255], [128, 255, 0]], np.uint8)
    assert isprs.classes_of(colours.T[:, None])[0].tolist() == [5, 2, 255, 255]


def test_potsdam_in_archives_gives_the_same(converters, potsdam, tmp_path):
    small, download, _, _ = potsdam
    archives = tmp_path / 'archives'
    archives.mkdir()
    for folder in download.iterdir():
        with zipfile.ZipFile(archives / f'{folder.name}.zip', 'w') as archive:
            for file in folder.iterdir():
                archive.write(file, f'{folder.name}/{file.name}')
    run_isprs(converters, small, download, tmp_path / 'a')
    run_isprs(converters, small, archives, tmp_path / 'b')
    files = sorted((tmp_path / 'a').rglob('*.png'))
    assert len(files) == 16
    for file in files:
        other = tmp_path / 'b' / file.relative_to(tmp_path / 'a')
        assert file.read_bytes() == other.read_bytes()


def test_half_of_potsdam_is_refused(converters, potsdam, tmp_path, user_error):
    small, download, _, _ = potsdam
    label = download / '5_Labels_all_noBoundary/top_potsdam_7_13_label_noBoundary.tif'
    content = label.read_bytes()

    def refused(match):
        with pytest.raises(user_error, match=match) as error:
            run_isprs(converters, small, download, tmp_path / 'out')
        assert len(str(error.value).splitlines()) == 1
        assert not (tmp_path / 'out').exists()

    label.unlink()
    refused(r'ISPRS Potsdam in .* is incomplete: label 7_13 \(eroded\) \(0 of 1\)')
    label.write_bytes(content[:len(content) // 2])
    refused('label_noBoundary.tif .*(complete|cut off)')
    write_tiff(label, np.zeros((40, 32, 3), np.uint8))
    refused('has 32 x 40 pixels instead of 40 x 40')
    write_tiff(label, np.full((40, 40, 3), 100, np.uint8))
    refused('100.0% of the pixels have a colour that is no class')
    label.write_bytes(content)
    (download / 'x.zip').write_bytes(b'PK\3\4 half of an archive')
    refused('x.zip is no complete zip archive')


def test_full_labels_are_another_choice(converters, potsdam, tmp_path, user_error):
    small, download, classes, _ = potsdam
    with pytest.raises(user_error, match=r'label 7_13 \(full\)'):
        run_isprs(converters, small, download, tmp_path / 'out', '--test-labels', 'full')
    full = np.ones((40, 40), np.uint8)
    write_tiff(download / '5_Labels_all/top_potsdam_7_13_label.tif',
               classes_as_colours(full))
    run_isprs(converters, small, download, tmp_path / 'out', '--test-labels', 'full')
    assert (read(tmp_path / 'out/ann_dir/val/7_13_0000_0000.png') == 1).all()
    train = read(tmp_path / 'out/ann_dir/train/2_10_0000_0000.png')
    assert np.array_equal(train, classes['2_10'][:32, :32])


def test_vaihingen_tells_images_from_labels_of_the_same_name(converters, tmp_path):
    import vaihingen
    assert len(vaihingen.VAIHINGEN.train) == 16 and len(vaihingen.VAIHINGEN.test) == 17
    small = vaihingen.VAIHINGEN._replace(train=('1', ), test=('38', ))
    download = tmp_path / 'download'
    for number, height in (('1', 40), ('38', 50)):
        name = f'top_mosaic_09cm_area{number}'
        write_tiff(download / 'ISPRS_semantic_labeling_Vaihingen/top' / f'{name}.tif',
                   np.full((height, 33, 3), 7, np.uint8))
        for folder, ending, number_of_class in (
                ('ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE', '', 3),
                ('ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE',
                 '_noBoundary', 4)):
            write_tiff(download / folder / f'{name}{ending}.tif', classes_as_colours(
                np.full((height, 33), number_of_class)))
    run_isprs(converters, small, download, tmp_path / 'out', '--train-labels', 'full')
    out = tmp_path / 'out'
    assert (read(out / 'img_dir/val/38_0018_0001.png') == 7).all()
    assert (read(out / 'ann_dir/val/38_0018_0001.png') == 4).all()
    assert (read(out / 'ann_dir/train/1_0008_0001.png') == 3).all()
    assert len(list(out.rglob('*.png'))) == 2 * (2 * 2 + 2 * 2)


def test_potsdam_is_what_isprs_publishes(converters):
    import potsdam
    assert len(potsdam.POTSDAM.train) == 24 and len(potsdam.POTSDAM.test) == 14
    assert not set(potsdam.POTSDAM.train) & set(potsdam.POTSDAM.test)
    # 3,456 and 2,016 tiles, as in the published protocol
    import _preparation
    tiles = len(_preparation.windows(6000, 6000, 512, 0))
    assert (24 * tiles, 14 * tiles) == (3456, 2016)


@pytest.fixture
def levir(converters, tmp_path):
    """A LEVIR-CD of 2, 1 and 1 pairs of 64 x 64, tiles of 32."""
    import levir_cd
    small = levir_cd.LEVIR_CD._replace(
        counts=dict(train=(2, ), val=(1, ), test=(1, )), size=64, tile=32)
    download = tmp_path / 'download'
    for split, (number, ) in small.counts.items():
        for i in range(number):
            rng = np.random.default_rng(i)
            for part in ('A', 'B', 'label'):
                folder = download / split / part
                folder.mkdir(parents=True, exist_ok=True)
                shape = (64, 64) if part == 'label' else (64, 64, 3)
                pixels = rng.integers(0, 2 if part == 'label' else 256, shape)
                cv2.imwrite(str(folder / f'{split}_{i + 1}.png'),
                            (pixels * (255 if part == 'label' else 1)).astype(np.uint8))
    return small, download


def test_levir_is_cut(converters, levir, tmp_path):
    small, download = levir
    out = tmp_path / 'out'
    counts = converters['pairs'].prepare(download, out, small, workers=1)
    assert counts == dict(train=8, val=4, test=4)
    for part in ('A', 'B', 'label'):
        whole = read(download / f'train/{part}/train_2.png')
        tile = read(out / f'train/{part}/train_2_0032_0000.png')
        assert np.array_equal(tile, whole[32:, :32])
        assert len(list((out / 'train' / part).iterdir())) == 8


def test_levir_in_archives_gives_the_same(converters, levir, tmp_path):
    small, download = levir
    archives = tmp_path / 'archives'
    archives.mkdir()
    for split in small.counts:
        with zipfile.ZipFile(archives / f'{split}.zip', 'w') as archive:
            for file in sorted((download / split).rglob('*.png')):
                archive.write(file, file.relative_to(download / split))
    converters['pairs'].prepare(download, tmp_path / 'a', small, workers=1)
    converters['pairs'].prepare(archives, tmp_path / 'b', small, workers=1)
    files = sorted((tmp_path / 'a').rglob('*.png'))
    assert len(files) == 48
    assert all(file.read_bytes() == (tmp_path / 'b' / file.relative_to(tmp_path / 'a'))
               .read_bytes() for file in files)


def test_bombs_in_archives_are_refused(converters, tmp_path, user_error, monkeypatch):
    download = sys.modules['_download']
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('zeros.png', bytes(5000))
        archive.writestr('script.png', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n')
    script, zeros = download.list_download(tmp_path)
    assert zeros.read() == bytes(5000)
    for entry in (script, zeros):
        with pytest.raises(user_error, match='is damaged or cut off'):
            entry.decode()
    monkeypatch.setattr(download, 'MOST_BYTES', 4999)
    with pytest.raises(user_error, match=r'zeros.png unfolds to 5,000 bytes'):
        zeros.read()


def test_half_of_levir_is_refused(converters, levir, tmp_path, user_error):
    small, download = levir

    def refused(match):
        with pytest.raises(user_error, match=match) as error:
            converters['pairs'].prepare(download, tmp_path / 'out', small, workers=1)
        assert len(str(error.value).splitlines()) == 1
        assert not (tmp_path / 'out').exists()

    date = download / 'train/B/train_2.png'
    content = date.read_bytes()
    date.rename(date.with_name('train_9.png'))
    refused('train/train_2 is not in B|train/train_9 is not in A, label')
    date.with_name('train_9.png').unlink()
    refused(r'LEVIR-CD in .* is incomplete: train/B \(1 of 2\)')
    date.write_bytes(content[:len(content) // 2])
    refused(r'B/train_2.png is damaged or cut off')
    cv2.imwrite(str(date), np.zeros((60, 64, 3), np.uint8))
    refused('has 64 x 60 pixels instead of 64 x 64')
    date.write_bytes(content)
    cv2.imwrite(str(download / 'train/label/train_2.png'), np.full((64, 64), 3, np.uint8))
    refused('label/train_2.png holds values besides 0 and 255')


@pytest.mark.parametrize('place', ['.', 'ChangeDetectionDataset/Real/subset'])
def test_cdd_has_masks_of_two_values(converters, tmp_path, place, user_error):
    import cdd
    assert cdd.CDD.counts == dict(train=(10000, ), val=(3000, 2998), test=(3000, ))
    small = cdd.CDD._replace(
        counts=dict(train=(2, ), val=(2, 1), test=(1, )), size=32, tile=32)
    download = tmp_path / 'download'
    mask = np.zeros((32, 32), np.uint8)
    mask[8:24, 8:24] = 255
    for split, number in (('train', 2), ('val', 1), ('test', 1)):
        for part in ('A', 'B', 'OUT'):
            folder = download / place / split / part
            folder.mkdir(parents=True)
            for i in range(number):
                cv2.imwrite(str(folder / f'{i:05d}.jpg'), mask if part == 'OUT' else
                            np.full((32, 32, 3), 90, np.uint8))
    # the archive's other sets look alike
    other = download / 'ChangeDetectionDataset/Model/with_shift/train/A'
    other.mkdir(parents=True)
    (other / '00000.jpg').write_bytes(b'')
    counts = converters['pairs'].prepare(download, tmp_path / 'out', small, workers=1)
    assert counts == dict(train=2, val=1, test=1)
    assert np.array_equal(read(tmp_path / 'out/test/label/00000.png'), mask)
    assert ((tmp_path / 'out/test/A/00000.jpg').read_bytes()
            == (download / place / 'test/A/00000.jpg').read_bytes())
    for part in ('A', 'B', 'OUT'):
        (download / place / 'val' / part / '00000.jpg').unlink()
    with pytest.raises(user_error, match=r'incomplete: val/A \(0 of 2\)'):
        converters['pairs'].prepare(download, tmp_path / 'again', small, workers=1)

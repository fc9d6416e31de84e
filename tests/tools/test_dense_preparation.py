"""Potsdam, Vaihingen, LEVIR-CD and CDD: what they write, and what they refuse."""
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
COLOURS = dict(boundary=(0, 0, 0), impervious_surface=(255, 255, 255), building=(0, 0, 255),
               low_vegetation=(0, 255, 255), tree=(0, 255, 0), car=(255, 255, 0),
               clutter=(255, 0, 0))
LABEL = '5_Labels_all_noBoundary/top_potsdam_{}_label_noBoundary.tif'


@pytest.fixture
def isprs(converter):
    return converter('_isprs')


def write_tiff(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path, 'w', driver='GTiff', height=pixels.shape[0],
                           width=pixels.shape[1], count=pixels.shape[2],
                           dtype='uint8') as file:
            file.write(pixels.transpose(2, 0, 1))


def write_classes(path, classes):
    write_tiff(path, np.array(list(COLOURS.values()), np.uint8)[classes])


def read(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image if image.ndim == 2 else image[..., ::-1]


def assert_archives_give_the_same(run, download, folder, number):
    """``run(download, out)`` writes ``number`` files, from folders and from their archives."""
    (folder / 'archives').mkdir()
    for part in download.iterdir():
        with zipfile.ZipFile(folder / 'archives' / f'{part.name}.zip', 'w') as archive:
            for file in sorted(part.rglob('*.*')):
                archive.write(file, file.relative_to(part))
    run(download, folder / 'a')
    run(folder / 'archives', folder / 'b')
    files = sorted(path for path in (folder / 'a').rglob('*') if path.is_file())
    assert len(files) == number
    for file in files:
        assert file.read_bytes() == (folder / 'b' / file.relative_to(folder / 'a')).read_bytes()


@pytest.fixture
def potsdam(isprs, tmp_path):
    """A Potsdam of two images of 40 x 40, and its classes and images (H, W[, 3])."""
    small = isprs.SETS['potsdam']._replace(train=('2_10', ), test=('7_13', ), size=(40, 40))
    classes, images, download = {}, {}, tmp_path / 'download'
    for i, number in enumerate(('2_10', '7_13')):
        rng = np.random.default_rng(i)
        classes[number] = rng.integers(0, 7, (40, 40)).astype(np.uint8)
        images[number] = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        write_tiff(download / '2_Ortho_RGB' / f'top_potsdam_{number}_RGB.tif', images[number])
        write_classes(download / LABEL.format(number), classes[number])
    return small, download, classes, images


def run_isprs(isprs, benchmark, download, out, *options):
    name = 'potsdam' if 'Potsdam' in benchmark.name else 'vaihingen'
    return isprs.prepare(benchmark, isprs.parse_options(
        '', name, [str(download), '--out', str(out), '--workers', '1', '--tile', '32', *options]))


def test_potsdam_becomes_tiles_of_class_numbers(isprs, potsdam, tmp_path):
    small, download, classes, images = potsdam
    pixels = run_isprs(isprs, small, download, tmp_path / 'out')
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


def test_what_mmseg_makes_of_the_tiles(isprs, potsdam, tmp_path):
    """Boundary and clutter are ignored, the five classes count from 0."""
    pytest.importorskip('mmseg')
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS
    small, download, classes, _ = potsdam
    run_isprs(isprs, small, download, tmp_path / 'out', '--tile', '40')
    config = next(CONFIGS.glob('segmentation/*_potsdam.py'))
    init_default_scope('mmseg')
    dataset = DATASETS.build(dict(Config.fromfile(config).test_dataloader.dataset,
                                  data_root=str(tmp_path / 'out')))
    assert dataset.metainfo['classes'] == (
        'impervious_surface', 'building', 'low_vegetation', 'tree', 'car')
    assert len(dataset.metainfo['palette']) == 5
    label = dataset[0]['data_samples'].gt_sem_seg.data[0].numpy()
    wanted = np.array([255, 0, 1, 2, 3, 4, 255])[classes['7_13']]
    assert np.array_equal(label, wanted)


def test_colours_that_are_nearly_right_or_none(isprs):
    colours = np.array([[252, 255, 0], [3, 5, 255], [255, 0, 255], [128, 255, 0]], np.uint8)
    assert isprs.classes_of(colours.T[:, None])[0].tolist() == [5, 2, 255, 255]


def test_potsdam_in_archives_gives_the_same(isprs, potsdam, tmp_path):
    small, download, _, _ = potsdam
    assert_archives_give_the_same(
        lambda source, out: run_isprs(isprs, small, source, out), download, tmp_path, 16)


@pytest.mark.parametrize('damage, message', [
    (lambda label: label.unlink(),
     r'ISPRS Potsdam in .* is incomplete: label 7_13 \(eroded\) \(0 of 1\)'),
    (lambda label: label.write_bytes(label.read_bytes()[:-2000]),
     'label_noBoundary.tif .*(complete|cut off)'),
    (lambda label: write_tiff(label, np.zeros((40, 32, 3), np.uint8)),
     'has 32 x 40 pixels instead of 40 x 40'),
    (lambda label: write_tiff(label, np.full((40, 40, 3), 100, np.uint8)),
     '100.0% of the pixels have a colour of no class'),
    (lambda label: label.with_name('x.zip').write_bytes(b'PK\3\4 half of an archive'),
     'x.zip is no complete zip archive'),
])
def test_an_incomplete_potsdam_is_refused(isprs, potsdam, tmp_path, user_error, damage, message):
    small, download, _, _ = potsdam
    damage(download / LABEL.format('7_13'))
    with pytest.raises(user_error, match=message) as error:
        run_isprs(isprs, small, download, tmp_path / 'out')
    assert '\n' not in str(error.value) and not (tmp_path / 'out').exists()


def test_full_labels_are_another_choice(isprs, potsdam, tmp_path, user_error):
    small, download, classes, _ = potsdam
    with pytest.raises(user_error, match=r'label 7_13 \(full\)'):
        run_isprs(isprs, small, download, tmp_path / 'out', '--test-labels', 'full')
    write_classes(download / '5_Labels_all/top_potsdam_7_13_label.tif',
                  np.ones((40, 40), np.uint8))
    run_isprs(isprs, small, download, tmp_path / 'out', '--test-labels', 'full')
    assert (read(tmp_path / 'out/ann_dir/val/7_13_0000_0000.png') == 1).all()
    train = read(tmp_path / 'out/ann_dir/train/2_10_0000_0000.png')
    assert np.array_equal(train, classes['2_10'][:32, :32])
    for options, message in (('--overlap 32', '--overlap 32'),
                             ('--images IRRG', r'image 2_10 \(IRRG\)')):
        with pytest.raises(user_error, match=message):
            run_isprs(isprs, small, download, tmp_path / 'again', *options.split())
    with pytest.raises(SystemExit):
        isprs.parse_options('', 'vaihingen', [str(download), '--images', 'RGB'])


def test_vaihingen_distinguishes_images_and_labels_of_the_same_name(isprs, tmp_path):
    small = isprs.SETS['vaihingen']._replace(train=('1', ), test=('38', ))
    base = tmp_path / 'download' / 'ISPRS_semantic_labeling_Vaihingen'
    for number, height in (('1', 40), ('38', 50)):
        name = f'top_mosaic_09cm_area{number}'
        write_tiff(base / 'top' / f'{name}.tif', np.full((height, 33, 3), 7, np.uint8))
        for folder, ending, number_of_class in (
                ('_ground_truth_COMPLETE', '', 3),
                ('_ground_truth_eroded_COMPLETE', '_noBoundary', 4)):
            write_classes(base.with_name(base.name + folder) / f'{name}{ending}.tif',
                          np.full((height, 33), number_of_class))
    out = tmp_path / 'out'
    run_isprs(isprs, small, base.parent, out, '--train-labels', 'full')
    assert (read(out / 'img_dir/val/38_0018_0001.png') == 7).all()
    assert (read(out / 'ann_dir/val/38_0018_0001.png') == 4).all()
    assert (read(out / 'ann_dir/train/1_0008_0001.png') == 3).all()
    assert len(list(out.rglob('*.png'))) == 2 * (2 * 2 + 2 * 2)


def test_the_real_sets_have_their_published_counts(converter):
    potsdam, vaihingen = converter('_isprs').SETS.values()
    assert (len(potsdam.train), len(potsdam.test)) == (24, 14)
    assert (len(vaihingen.train), len(vaihingen.test)) == (16, 17)
    for benchmark in (potsdam, vaihingen):
        assert not set(benchmark.train) & set(benchmark.test)
    # 3,456 and 2,016 tiles, as in the published protocol
    tiles = len(converter('_preparation').windows(6000, 6000, 512))
    assert (24 * tiles, 14 * tiles) == (3456, 2016)
    assert converter('_pairs').SETS['cdd'].counts == dict(
        train=(10000, ), val=(3000, 2998), test=(3000, ))


# ---------------------------------------------------------------- pairs


@pytest.fixture
def levir(converter, tmp_path):
    """A LEVIR-CD of 2, 1 and 1 pairs of 64 x 64, tiles of 32."""
    small = converter('_pairs').SETS['levir_cd']._replace(
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


@pytest.fixture
def run_pairs(converter):
    return lambda pairs, download, out: converter('_pairs').prepare(
        pairs, SimpleNamespace(folder=download, out=out, workers=1))


def test_levir_is_cut(run_pairs, levir, tmp_path):
    small, download = levir
    out = tmp_path / 'out'
    assert run_pairs(small, download, out) == dict(train=8, val=4, test=4)
    for part in ('A', 'B', 'label'):
        image = read(download / f'train/{part}/train_2.png')
        tile = read(out / f'train/{part}/train_2_0032_0000.png')
        assert np.array_equal(tile, image[32:, :32])
        assert len(list((out / 'train' / part).iterdir())) == 8


def test_levir_in_archives_gives_the_same(run_pairs, levir, tmp_path):
    small, download = levir
    assert_archives_give_the_same(
        lambda source, out: run_pairs(small, source, out), download, tmp_path, 48)


def test_damaged_and_too_large_files_in_archives_are_refused(converter, tmp_path, user_error,
                                                             monkeypatch):
    download = converter('_download')
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('zeros.png', bytes(5000))
        archive.writestr('script.png', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n')
    (entries, ) = download.find(tmp_path, [r'/(\w+)\.png$'])
    script, zeros = entries['script', ], entries['zeros', ]
    assert zeros.read() == bytes(5000)
    for entry in (script, zeros):
        with pytest.raises(user_error, match='is damaged or cut off'):
            entry.decode()
    monkeypatch.setattr(download, 'MAX_BYTES', 4999)
    with pytest.raises(user_error, match=r'zeros.png has 5,000 bytes'):
        zeros.read()


@pytest.mark.parametrize('damage, message', [
    (lambda train: (train / 'B/train_2.png').rename(train / 'B/train_9.png'),
     'train/train_2 is not in B|train/train_9 is not in A, label'),
    (lambda train: (train / 'B/train_2.png').unlink(),
     r'LEVIR-CD in .* is incomplete: train/B \(1 of 2\)'),
    (lambda train: (train / 'B/train_2.png').write_bytes(
        (train / 'B/train_2.png').read_bytes()[:5000]), r'B/train_2.png is damaged or cut off'),
    (lambda train: cv2.imwrite(str(train / 'B/train_2.png'), np.zeros((60, 64, 3), np.uint8)),
     'has 64 x 60 pixels instead of 64 x 64'),
    (lambda train: cv2.imwrite(str(train / 'label/train_2.png'), np.full((64, 64), 3)),
     'label/train_2.png has values besides 0 and 255'),
])
def test_an_incomplete_levir_is_refused(run_pairs, levir, tmp_path, user_error, damage, message):
    small, download = levir
    damage(download / 'train')
    with pytest.raises(user_error, match=message) as error:
        run_pairs(small, download, tmp_path / 'out')
    assert '\n' not in str(error.value) and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('place', ['.', 'ChangeDetectionDataset/Real/subset'])
def test_cdd_has_masks_of_two_values(run_pairs, converter, tmp_path, place, user_error):
    small = converter('_pairs').SETS['cdd']._replace(
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
    assert run_pairs(small, download, tmp_path / 'out') == dict(train=2, val=1, test=1)
    assert np.array_equal(read(tmp_path / 'out/test/label/00000.png'), mask)
    assert ((tmp_path / 'out/test/A/00000.jpg').read_bytes()
            == (download / place / 'test/A/00000.jpg').read_bytes())
    for part in ('A', 'B', 'OUT'):
        (download / place / 'val' / part / '00000.jpg').unlink()
    with pytest.raises(user_error, match=r'incomplete: val/A \(0 of 2\)'):
        run_pairs(small, download, tmp_path / 'again')

"""A packed data set is read as its folder is, and says so where it is damaged."""
import pickle
import sys
import zlib

import cv2
import numpy as np
import pytest
from damaged_images import agree, damage, refused, write_images
from PIL import Image
from view_batches import same_batches, two_views, view_batches

from cmid_mm.datasets import ImageFolder, packing
from cmid_mm.datasets.file_limits import ImageError
from cmid_mm.datasets.folder_scan import scan_folder
from cmid_mm.datasets.image_reading import read_image
from cmid_mm.datasets.inspection import inspect_images
from cmid_mm.datasets.packed_images import FORMAT, find_packed
from cmid_mm.datasets.packing import pack_folder
from cmid_mm.datasets.transforms import LoadRSImage
from cmid_mm.utils.errors import CMIDError, MissingFileError
from cmid_mm.utils.keyed_random import SampleIndex

lmdb = pytest.importorskip('lmdb')
RAW = pytest.mark.parametrize('raw', [False, True])


@pytest.fixture
def folder(scene, write, write_tiff, tmp_path):
    """Images of every kind, in folders whose order by bytes is not that of the alphabet."""
    for name in ('b/1.jpg', 'b-2/1.jpg', 'a/deep/2.jpg', 'B/3.jpeg', 'ä/4.png', 'a/5.bmp',
                 'a/6.webp'):
        write(f'data/{name}', np.roll(scene, len(name), 1))
    write('data/b/grey.jpg', scene[..., 0])
    for name, image in {'palette.png': Image.fromarray(scene).quantize(16),
                        'cmyk.jpg': Image.fromarray(scene).convert('CMYK'),
                        'alpha.png': Image.fromarray(scene).convert('LA')}.items():
        image.save(tmp_path / 'data/b' / name)
    write_tiff('data/a/8.tif', scene)
    write_tiff('data/a/16.tif', scene.astype(np.uint16) * 39)
    floats = scene.astype(np.float32) * 30
    floats[3, 4] = np.nan
    write_tiff('data/B/float.tif', floats, nodata=-1)
    write_tiff('data/B/infrared.tif', np.dstack([scene, scene[..., 1]]))
    index = np.arange(40, dtype=np.uint8).reshape(5, 8, 1)
    write_tiff('data/B/palette.tif', index, colormap={i: (i, 9, 3 * i, 255) for i in range(40)})
    mask = np.dstack([scene, np.uint8(255) * (scene[..., 0] > 50)])
    write_tiff('data/B/mask.tif', mask, photometric='RGB', alpha='YES')
    return str(tmp_path / 'data')


@pytest.fixture
def pack(folder, tmp_path):
    """``pack(**options)``: a folder in one file; its path and the report."""
    def call(root=folder, name=None, **options):
        out = str(tmp_path / (name or f'{len(list(tmp_path.glob("*.lmdb")))}.lmdb'))
        return out, pack_folder(str(root), out, show_progress=False, **options)
    return call


def infos(root, **arguments):
    """Metainfo and the entries of a data set, with paths in its folder."""
    dataset = ImageFolder(root, **arguments)
    entries = [dataset.get_data_info(i) for i in range(len(dataset))]
    return dataset.metainfo, [
        dict(entry, img_path=entry['img_path'].removeprefix(f'{root}/')) for entry in entries]


def batches(root, workers=0, **loader):
    return view_batches(root, workers, load=dict(value_range=(0, 10000)), **loader)


def content(out, name):
    return bytes(find_packed(f'{out}/{name}')[0].read(name))


def test_order_labels_lists_and_inspection_are_those_of_the_folder(folder, pack, tmp_path):
    out, report = pack()
    assert report['packed'] == report['images'] == report['forms']['original'] == 17
    path = tmp_path / 'list.txt'
    path.write_text('b/1.jpg 1\na/8.tif 0\n')
    for arguments in (dict(), dict(with_label=True), dict(with_label=True, split='query'),
                      dict(with_label=True, label_level='parent', query_every=3),
                      dict(extensions=('.jpg', '.tif')), dict(data_prefix='a'),
                      dict(ann_file=str(path), with_label=True)):
        assert infos(out, **arguments) == infos(folder, **arguments)
    assert len(infos(out, data_prefix='a')[1]) == 5
    assert infos(out)[1][0]['img_path'] == 'B/3.jpeg'
    path.write_text('b/1.jpg\nb/none.jpg\nb\n')
    with pytest.raises(MissingFileError, match=r'names 2 of 3 .*b/none.jpg \(line 2\), b '):
        ImageFolder(out, ann_file=str(path))
    reports = [inspect_images(root, value_range=(0, 1e4), show_progress=False)[0]
               for root in (folder, out)]
    assert reports[1].pop('root') == out and reports[0].pop('root') == folder
    assert reports[0] == reports[1] and len(reports[0]['formats']) == 5


@RAW
def test_pixels_are_those_of_the_folder(folder, pack, raw):
    out, report = pack(raw=raw)
    assert report['forms'].get('uncompressed', 0) == (14 if raw else 0)
    for file in scan_folder(folder):
        assert content(out, file) == open(f'{folder}/{file}', 'rb').read() or raw
        for choose in (lambda bands, alpha: range(bands), LoadRSImage(3).choose_bands,
                       lambda bands, alpha: [0] if alpha else [bands - 1, 0, 0]):
            expected = read_image(f'{folder}/{file}', choose)
            raster = read_image(f'{out}/{file}', choose)
            assert raster.pixels.dtype == expected.pixels.dtype
            assert raster.pixels.flags.c_contiguous and raster.nodata == expected.nodata
            np.testing.assert_array_equal(raster.pixels, expected.pixels)


@RAW
def test_a_run_on_it_is_the_run_on_the_folder(folder, pack, raw, scene):
    expected, (out, _) = batches(folder), pack(raw=raw)
    assert same_batches(batches(out), expected)
    # opened in this process, which forks, and not yet opened
    assert same_batches(batches(out, workers=2), expected)
    assert same_batches(batches(pack(raw=raw)[0], workers=2, persistent_workers=True), expected)
    # workers that do not inherit the open file open it themselves: it is never pickled
    dataset = ImageFolder(out, pipeline=two_views(value_range=(0, 10000)))
    assert dataset[SampleIndex(0, 0, 0)] and len(pickle.dumps(dataset)) < 20_000
    # limits hold as well
    assert read_image(f'{out}/a/8.tif', max_pixels=2240).pixels.shape == scene.shape
    with pytest.raises(ImageError, match='56 x 40 pixels, more than max_pixels=2239'):
        read_image(f'{out}/a/8.tif', max_pixels=2239)


def test_a_folder_of_that_name_stays_a_folder(scene, write, pack, tmp_path):
    path = write('x.lmdb/y.lmdb/1.png', scene)
    assert np.array_equal(read_image(path).pixels, scene)
    assert infos(str(tmp_path / 'x.lmdb'))[1][0]['img_path'] == 'y.lmdb/1.png'
    out, _ = pack(tmp_path / 'x.lmdb', 'x.lmdb/z.lmdb')
    assert np.array_equal(read_image(f'{out}/y.lmdb/1.png').pixels, scene)


def test_a_new_file_under_the_old_name_is_read_by_the_next_data_set(pack, tmp_path):
    """A running training keeps the file that it has opened."""
    for count in (3, 5):
        write_images(tmp_path / 'few', count)
        out, _ = pack(tmp_path / 'few', 'x.lmdb', raw=True)
        assert len(find_packed(f'{out}/002.jpg')[0].names()) == 3
        assert len(ImageFolder(out)) == count
    (tmp_path / 'same.lmdb').hardlink_to(out)
    assert len(ImageFolder(str(tmp_path / 'same.lmdb'))) == 5


def spoil(path, part):
    """Flip one bit in the middle of a part of a file."""
    data = open(path, 'rb').read()
    assert part in data
    other = bytearray(part)
    other[len(part) // 2] ^= 4
    open(path, 'wb').write(data.replace(part, other))


@RAW
def test_a_damaged_byte_is_noticed_and_named(tmp_path, pack, raw):
    paths = write_images(tmp_path / 'few', 5)
    (out, _), (other, _) = (pack(tmp_path / 'few', raw=raw) for _ in range(2))
    spoil(out, content(other, '002.jpg'))
    for _ in range(2):
        refused(lambda: read_image(f'{out}/002.jpg'), ImageError,
                'is damaged .*checksum is wrong.*pack the folder again', f'{out}/002.jpg')
    for path in (paths[0], paths[4]):
        assert np.array_equal(read_image(f'{out}/{path.name}').pixels,
                              read_image(str(path)).pixels)
    dataset = ImageFolder(out, replace_broken=True, pipeline=two_views(value_range=(0, 10000)))
    found = [dataset[SampleIndex(i, 0, 0)]['broken'].item() for i in range(5)]
    assert found == [-1, -1, 2, -1, -1]
    assert inspect_images(out, show_progress=False)[0]['unusable'][0][0] == '002.jpg'
    spoil(other, b'/001.jpg')
    name = find_packed(other)[0].names()[1]
    refused(lambda: read_image(f'{other}/{name}'), ImageError, 'checksum is wrong', other)


def test_the_checksum_is_compared_once(tmp_path, pack, monkeypatch):
    write_images(tmp_path / 'few', 3)
    out, _ = pack(tmp_path / 'few')
    sizes, crc32 = [], zlib.crc32
    monkeypatch.setattr('cmid_mm.datasets.packed_images.zlib.crc32',
                        lambda data, *start: sizes.append(len(data)) or crc32(data, *start))
    for name in ('000', '002', '000', '000', '002'):
        read_image(f'{out}/{name}.jpg')
    assert sum(size > 100 for size in sizes) == 2


@pytest.mark.parametrize('name', ['none.jpg', 'a', 'x' * 600])
def test_an_image_that_is_not_there(pack, name):
    out, _ = pack()
    with pytest.raises(ImageError, match=f'{name} (is not in the packed|cannot be read)'):
        read_image(f'{out}/{name}')


def test_files_that_are_no_packed_data_set(tmp_path, pack):
    def database(name, entries):
        path = str(tmp_path / f'{name}.lmdb')
        with lmdb.open(path, subdir=False, lock=False) as environment, \
                environment.begin(write=True) as writer:
            for key, value in entries.items():
                writer.put(key, value)
        return path

    path = tmp_path / 'text.lmdb'
    for data in (b'', b'text', b'text' * 9999):
        path.write_bytes(data)
        refused(lambda: ImageFolder(str(path)), CMIDError, 'is no packed data set', path)
    refused(lambda: ImageFolder(database('other', {b'1': b'x'})), CMIDError,
            'is an LMDB database, but no packed', 'other.lmdb')
    cut = database('cut', {FORMAT: b'', b'/a.jpg': b'abc', b'/b.jpg': bytes([0, 0, 0, 0, 9])})
    for name in ('a', 'b'):
        refused(lambda: read_image(f'{cut}/{name}.jpg'), ImageError,  # noqa: B023
                'is damaged in the packed', cut)
    whole = open(pack()[0], 'rb').read()
    path.write_bytes(whole[:len(whole) // 2])
    refused(lambda: ImageFolder(str(path)), CMIDError, 'is cut off: .* bytes of', path)
    refused(lambda: ImageFolder(str(tmp_path / 'none.lmdb')), MissingFileError,
            'none.lmdb does not exist')


def test_without_the_library(pack, folder, monkeypatch, tmp_path):
    out, _ = pack()
    monkeypatch.setitem(sys.modules, 'lmdb', None)
    monkeypatch.setattr('cmid_mm.datasets.packed_images._opened', {})
    assert len(batches(folder)) == 4
    for call in (lambda: ImageFolder(out), lambda: read_image(f'{out}/a/8.tif'),
                 lambda: pack_folder(folder, str(tmp_path / 'new.lmdb'))):
        with pytest.raises(ImportError, match='need the library lmdb: install it with "pip'):
            call()


def test_shrunk_images_are_jpegs_of_averages(write, pack, tmp_path):
    rows, columns = np.mgrid[:300, :400]
    large = np.stack([rows * 0.8, columns * 0.6, 255 - rows * 0.4], 2).astype(np.uint8)
    for name, pixels in {
            'tall.jpg': large.transpose(1, 0, 2), 'wide.png': large, 'grey.jpg': large[..., 0],
            'small.jpg': large[:99, :200], 'side.jpg': large[:100, :200]}.items():
        write(f'sizes/{name}', np.ascontiguousarray(pixels))
    root = tmp_path / 'sizes'
    out, report = pack(root, shortest_side=100)
    assert report['shrunk'] == 3 and report['forms'] == dict(JPEG=3, original=2)
    assert report['bytes'] == sum(path.stat().st_size for path in root.iterdir())
    assert report['packed_bytes'] == sum(len(content(out, path.name)) for path in root.iterdir())
    wide, tall, grey = (read_image(f'{out}/{name}').pixels for name in (
        'wide.png', 'tall.jpg', 'grey.jpg'))
    assert (wide.shape, tall.shape, grey.shape) == ((100, 133, 3), (133, 100, 3), (100, 133, 1))
    means = cv2.resize(large, (133, 100), interpolation=cv2.INTER_AREA)
    assert np.abs(wide - means.astype(int)).mean() < 1
    better = pack(root, shortest_side=100, quality=100)[0]
    assert len(content(better, 'wide.png')) > len(content(out, 'wide.png'))
    raw, report = pack(root, shortest_side=100, raw=True)
    assert report['shrunk'] == 3 and report['forms'] == dict(uncompressed=5)
    assert np.array_equal(read_image(f'{raw}/wide.png').pixels, means)


def test_what_no_jpeg_holds_keeps_its_size_or_is_shrunk_raw(write, write_tiff, pack, tmp_path):
    values = np.random.default_rng(0).integers(0, 2000, (40, 60, 4)).astype(np.uint16)
    write_tiff('odd/deep.tif', values)
    write_tiff('odd/holes.tif', values[..., :3], nodata=0)
    write('odd/alpha.png', values.astype(np.uint8))
    out, report = pack(tmp_path / 'odd', shortest_side=20)
    assert (report['shrunk'], report['not_shrunk'], report['forms']) == (0, 3, dict(original=3))
    out, report = pack(tmp_path / 'odd', shortest_side=20, raw=True)
    assert (report['shrunk'], report['not_shrunk']) == (1, 2)
    assert report['forms'] == dict(original=1, uncompressed=2)
    deep, holes = (read_image(f'{out}/{name}.tif') for name in ('deep', 'holes'))
    means = values.reshape(20, 2, 30, 2, 4).mean((1, 3))
    assert deep.pixels.dtype == np.uint16 and np.abs(deep.pixels - means).max() <= 0.5
    assert np.array_equal(holes.pixels, values[..., :3]) and holes.nodata == (0, 0, 0)
    assert content(out, 'alpha.png') == (tmp_path / 'odd/alpha.png').read_bytes()


@pytest.mark.parametrize('workers', [0, 2])
def test_broken_images_are_named_and_left_out(tmp_path, pack, workers, monkeypatch):
    monkeypatch.setattr('cmid_mm.datasets.parallel_reading._MIN_ITEMS_FOR_WORKERS', 0)
    monkeypatch.setattr(packing, '_IMAGES_PER_COMMIT', 3)
    paths = write_images(tmp_path / 'few', 20)
    reasons = damage(paths)
    # five bands can be packed: the loader may want them
    reasons.pop(next(path for path, reason in reasons.items() if '5 band' in reason))
    out, report = pack(tmp_path / 'few', workers=workers)
    found = {str(tmp_path / 'few' / file): reason for file, reason in report['unusable']}
    assert agree(found, reasons)
    good = [path for path in paths if str(path) not in reasons]
    assert find_packed(out)[0].names() == [path.name for path in good]
    assert all(content(out, path.name) == path.read_bytes() for path in good)
    # equal folders give equal bytes
    assert open(pack(tmp_path / 'few')[0], 'rb').read() == open(out, 'rb').read()


@pytest.mark.parametrize('before', [[], [b'an older file']])
def test_complete_or_absent(tmp_path, pack, monkeypatch, before):
    def interrupt(*args):
        raise KeyboardInterrupt

    write_images(tmp_path / 'few', 2)
    for data in before:
        (tmp_path / 'x.lmdb').write_bytes(data)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(packing, 'encode', interrupt)
        pack(tmp_path / 'few', 'x.lmdb')
    assert [path.read_bytes() for path in tmp_path.glob('x.lmdb*')] == before
    assert pack(tmp_path / 'few', 'x.lmdb')[1]['packed'] == 2


def test_names_that_are_hard_to_store(tmp_path, pack):
    path, = write_images(tmp_path / 'few', 1)
    deep = tmp_path / 'few' / ('a' * 200) / ('b' * 200) / ('c' * 200)
    deep.mkdir(parents=True)
    odd = path.with_name('line\nbreak \udcff.jpg')
    for copy in (deep / 'x.jpg', odd):
        copy.write_bytes(path.read_bytes())
    out, report = pack(tmp_path / 'few')
    assert [reason for _, reason in report['unusable']] == [
        'has a path of more than 510 bytes: shorten it']
    assert sorted(find_packed(out)[0].names()) == sorted([path.name, odd.name])
    assert read_image(f'{out}/{odd.name}').pixels.shape == (40, 48, 3)


@pytest.mark.parametrize('options, reason', [
    (dict(root='none'), 'none does not exist'),
    (dict(out='data'), 'does not end in .lmdb'), (dict(out='x.db'), 'name it .*x.db.lmdb'),
    (dict(out='folder.lmdb'), 'is a folder: give the name of the file'),
    (dict(root='old.lmdb', out='old.lmdb'), 'is the input itself'),
    (dict(root='old.lmdb'), 'is packed already'),
    (dict(root='empty'), 'empty holds no image'), (dict(root='text'), 'no usable image; .*1.jpg'),
    (dict(shortest_side=0), 'shortest_side=0'), (dict(quality=0), 'quality=0')])
def test_refused_before_any_work(tmp_path, pack, options, reason):
    write_images(tmp_path / 'few', 1)
    pack(tmp_path / 'few', 'old.lmdb')
    for name in ('folder.lmdb', 'empty', 'text'):
        (tmp_path / name).mkdir()
    (tmp_path / 'text' / '1.jpg').write_text('text')
    before = sorted(tmp_path.rglob('*'))
    options = dict(dict(root='few', out='x.lmdb'), **options)
    paths = {name: str(tmp_path / options.pop(name)) for name in ('root', 'out')}
    with pytest.raises((CMIDError, MissingFileError), match=reason):
        pack_folder(**paths, show_progress=False, **options)
    assert sorted(tmp_path.rglob('*')) == before

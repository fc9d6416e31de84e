"""A packed data set is read as its folder is."""
import json
import multiprocessing
import pickle
import sys

import numpy as np
import pytest
import torch
from damaged_images import write_images
from mmengine.runner import Runner
from PIL import Image

from cmid_mm.datasets import ImageFolder
from cmid_mm.datasets.dataset_check import check_images, list_files
from cmid_mm.datasets.image_reading import ImageError, read_image
from cmid_mm.datasets.image_statistics import folder_statistics
from cmid_mm.datasets.packed_entry import seal
from cmid_mm.datasets.packed_images import ABOUT, find_packed
from cmid_mm.datasets.packing import pack_folder
from cmid_mm.datasets.transforms import LoadRSImage
from cmid_mm.utils.keyed_random import SampleIndex

lmdb = pytest.importorskip('lmdb')
PIPELINE = [dict(type='LoadRSImage', value_range=(0, 10000)),
            dict(type='CMIDTwoViews', size=16), dict(type='PackViews')]


@pytest.fixture
def folder(scene, write, write_tiff, tmp_path):
    """Images of every kind, in folders whose order by bytes is not that of the alphabet."""
    for name in ('b/1.jpg', 'b-2/1.jpg', 'a/deep/2.jpg', 'B/3.jpeg', 'ä/4.png', 'a/5.bmp',
                 'a/6.webp'):
        write(f'data/{name}', np.roll(scene, len(name), 1))
    write('data/b/grey.jpg', scene[..., 0])
    Image.fromarray(scene).quantize(16).save(tmp_path / 'data/b/palette.png')
    Image.fromarray(scene).convert('CMYK').save(tmp_path / 'data/b/cmyk.jpg')
    Image.fromarray(scene).convert('LA').save(tmp_path / 'data/b/alpha.png')
    write_tiff('data/a/8.tif', scene)
    write_tiff('data/a/16.tif', scene.astype(np.uint16) * 39)
    floats = scene.astype(np.float32) * 30
    floats[3, 4] = np.nan
    write_tiff('data/B/float.tif', floats, nodata=-1)
    index = np.arange(40, dtype=np.uint8).reshape(5, 8, 1)
    write_tiff('data/B/palette.tif', index, colormap={i: (i, 9, 3 * i, 255) for i in range(40)})
    mask = np.dstack([scene, np.uint8(255) * (scene[..., 0] > 50)])
    write_tiff('data/B/mask.tif', mask, photometric='RGB', alpha='YES')
    return str(tmp_path / 'data')


@pytest.fixture
def packed(folder, tmp_path):
    """``packed(**options)``: the folder in one file; the path of that."""
    def pack(root=folder, **options):
        out = str(tmp_path / f'{len(list(tmp_path.glob("*.lmdb")))}.lmdb')
        report = pack_folder(root, out, show_progress=False, **options)
        assert report['packed'] == report['images'] and not report['unusable']
        return out
    return pack


def infos(root, **arguments):
    dataset = ImageFolder(root, **arguments)
    return dataset.metainfo, [
        {**dataset.get_data_info(i), 'img_path': dataset.get_data_info(i)['img_path']
         .removeprefix(f'{root}/')} for i in range(len(dataset))]


def batches(root, workers=0, **loader):
    loader = Runner.build_dataloader(
        dict(dataset=dict(type='ImageFolder', data_root=root, pipeline=PIPELINE),
             sampler=dict(type='KeyedSampler', shuffle=True), batch_size=4,
             num_workers=workers, drop_last=True, **loader,
             collate_fn=dict(type='default_collate')), seed=5)
    return list(loader)


def same(one, other):
    return len(one) == len(other) > 0 and all(
        set(a) == set(b) and all(torch.equal(a[key], b[key]) for key in a)
        for a, b in zip(one, other, strict=True))


def test_order_labels_and_split_are_those_of_the_folder(folder, packed):
    out = packed()
    for arguments in (dict(), dict(with_label=True), dict(with_label=True, split='query'),
                      dict(with_label=True, label_level='parent', query_every=3),
                      dict(with_label=True, split='bank', query_every=2),
                      dict(extensions=('.jpg', '.tif')), dict(data_prefix='a')):
        assert infos(out, **arguments) == infos(folder, **arguments)
    assert len(infos(out, data_prefix='a')[1]) == 5
    assert infos(out)[1][0]['img_path'] == 'B/3.jpeg'


@pytest.mark.parametrize('raw', [False, True])
def test_pixels_are_those_of_the_folder(folder, packed, raw):
    out = packed(raw=raw)
    for file in list_files(folder):
        for choose in (lambda bands, alpha: range(bands), LoadRSImage(3).choose_bands,
                       lambda bands, alpha: [0] if alpha else [bands - 1, 0, 0]):
            expected = read_image(f'{folder}/{file}', choose)
            raster = read_image(f'{out}/{file}', choose)
            assert raster.pixels.dtype == expected.pixels.dtype
            assert np.array_equal(raster.pixels, expected.pixels, equal_nan=file.endswith(
                'float.tif')) and raster.nodata == expected.nodata
        assert raster.pixels.flags.c_contiguous
    pixels = read_image(f'{out}/a/8.tif').pixels
    assert pixels.flags.writeable != raw and (pixels.base is not None) >= raw


@pytest.mark.parametrize('raw', [False, True])
def test_a_run_on_it_is_the_run_on_the_folder(folder, packed, raw):
    expected, out = batches(folder), packed(raw=raw)
    assert same(batches(out), expected)
    # opened in this process, which forks
    assert same(batches(out, workers=2), expected)
    # and not yet opened
    assert same(batches(packed(raw=raw), workers=2, persistent_workers=True), expected)


def test_it_is_opened_again_where_it_is_not_inherited(folder, packed):
    out = packed()
    dataset = ImageFolder(out, pipeline=[dict(type='LoadRSImage', value_range=(0, 1e4))])
    images = [dataset[i]['img'] for i in range(len(dataset))]
    assert len(pickle.dumps(dataset)) < 20_000
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        found = pool.map(dataset.__getitem__, range(len(dataset)))
    assert all(np.array_equal(a['img'], b) for a, b in zip(found, images, strict=True))


def test_lists_checks_and_statistics(folder, packed, tmp_path):
    out = packed()
    path = tmp_path / 'list.txt'
    path.write_text('b/1.jpg 1\na/8.tif 0\n')
    arguments = dict(ann_file=str(path), with_label=True)
    assert infos(out, **arguments) == infos(folder, **arguments)
    path.write_text('b/1.jpg\nb/none.jpg\nb\n')
    with pytest.raises(FileNotFoundError, match=r'names 2 of 3 .*b/none.jpg \(line 2\), b '):
        ImageFolder(out, ann_file=str(path))
    options = dict(value_range=(0, 1e4), show_progress=False)
    reports = [check_images(root, list_files(root), **options) for root in (folder, out)]
    for report, _ in reports:
        assert report.pop('root') in (folder, out)
    assert reports[0] == reports[1] and reports[0][0]['usable'] == 16
    assert len(reports[0][0]['formats']) == 5
    photographs = f'{folder}/b', f'{out}/b'
    first, second = (folder_statistics(root, show_progress=False) for root in photographs)
    assert {**first, 'root': ''} == {**second, 'root': ''}
    raw = packed(raw=True)
    assert check_images(raw, list_files(raw), **options)[0]['formats'] == {'packed pixels': 16}


def spoil(path, part):
    """Change one byte in the middle of a part of a file, and of what LMDB left of it."""
    data = open(path, 'rb').read()
    assert part in data
    other = bytearray(part)
    other[len(part) // 2] ^= 4
    open(path, 'wb').write(data.replace(part, other))


@pytest.mark.parametrize('raw', [False, True])
def test_a_damaged_byte_is_noticed_and_named(tmp_path, packed, raw):
    paths = write_images(tmp_path / 'few', 5)
    root = str(tmp_path / 'few')
    content = (read_image(str(paths[2])).pixels.tobytes() if raw else paths[2].read_bytes())
    out, other = packed(root, raw=raw), packed(root, raw=raw)
    spoil(out, content)
    message = f'{out}/002.jpg is damaged .*checksum is wrong.*pack the folder again'
    for _ in range(2):
        with pytest.raises(ImageError, match=message) as error:
            read_image(f'{out}/002.jpg')
    assert len(str(error.value).splitlines()) == 1
    for name in ('000', '001', '003', '004'):
        assert np.array_equal(read_image(f'{out}/{name}.jpg').pixels,
                              read_image(f'{root}/{name}.jpg').pixels)
    dataset = ImageFolder(out, replace_broken=True, pipeline=PIPELINE)
    found = [dataset[SampleIndex(i, 0, 0)]['broken'].item() for i in range(5)]
    assert found == [-1, -1, 2, -1, -1]
    assert check_images(out, list_files(out), show_progress=False)[0]['unusable'][0][0] == (
        '002.jpg')
    spoil(other, b'001.jpg\x00002.jpg')
    with pytest.raises(ValueError, match=r'\(its list of paths\) is damaged'):
        ImageFolder(other)


def test_the_checksum_is_looked_at_once(tmp_path, packed, monkeypatch):
    write_images(tmp_path / 'few', 3)
    out = packed(str(tmp_path / 'few'))
    ImageFolder(out)
    sizes = []
    crc32 = __import__('zlib').crc32
    monkeypatch.setattr('cmid_mm.datasets.packed_entry.zlib.crc32',
                        lambda data: sizes.append(len(data)) or crc32(data))
    for name in ('000', '002', '000', '000', '002'):
        read_image(f'{out}/{name}.jpg')
    assert len(sizes) == 2


def test_an_image_that_is_not_there(packed):
    out = packed()
    for name in ('none.jpg', 'a', 'x' * 600):
        with pytest.raises(ImageError, match=f'{name} is not in the packed|cannot be read'):
            read_image(f'{out}/{name}')
        assert name not in find_packed(out)[0]


def test_limits_hold_for_packed_images(packed, scene):
    for out in (packed(), packed(raw=True)):
        with pytest.raises(ImageError, match='56 x 40 pixels, more than max_pixels=2239'):
            read_image(f'{out}/a/8.tif', max_pixels=2239)
        assert read_image(f'{out}/a/8.tif', max_pixels=2240).pixels.shape == scene.shape


def database(path, entries):
    with lmdb.open(str(path), subdir=False, lock=False) as environment, \
            environment.begin(write=True) as writer:
        for key, value in entries.items():
            writer.put(key, value)
    return str(path)


def about(images=1, version=1):
    return seal(0, None, json.dumps(dict(version=version, images=images)).encode())


@pytest.mark.parametrize('lie', [
    dict(shape=[2**20, 2**20, 3]), dict(shape=[2, 2]), dict(shape=[-2, -2, 3]),
    dict(shape=[2.0, 2, 3]), dict(dtype='object'), dict(dtype='uint16'), dict(nodata=[None]),
    dict(nodata=['1', None, None]), dict(shape=None)])
def test_pixels_that_lie_about_themselves(tmp_path, lie):
    truth = dict(shape=[2, 2, 3], dtype='uint8', alpha=False, nodata=[None] * 3)
    path = database(tmp_path / 'x.lmdb', {
        b'about': about(2), b'/true.png': seal(0, truth, bytes(range(12))),
        b'/lie.png': seal(1, truth | lie, bytes(12)), b'paths': b''})
    assert read_image(f'{path}/true.png').pixels.ravel().tolist() == list(range(12))
    with pytest.raises(ImageError, match='lie.png is damaged in the packed'):
        read_image(f'{path}/lie.png')


def test_files_that_are_no_packed_data_set(tmp_path, packed):
    def refused(path, reason):
        with pytest.raises(ValueError, match=f'{path} {reason}') as error:
            ImageFolder(str(path))
        assert len(str(error.value).splitlines()) == 1

    path = tmp_path / 'text.lmdb'
    for content in (b'', b'text', b'text' * 9999):
        path.write_bytes(content)
        refused(path, 'is no packed data set: give a folder')
    for name, entries in dict(
            empty={}, other={b'1': b'x'}, short={ABOUT: b'{}'}, unsealed={ABOUT: b'{}' * 50},
            many={ABOUT: about(images=10**12)}, list={ABOUT: seal(0, None, b'[1]')}).items():
        refused(database(tmp_path / f'{name}.lmdb', entries), 'is an LMDB database, but no')
    refused(database(tmp_path / 'new.lmdb', {ABOUT: about(version=7)}), 'has the form 7')
    fewer = {ABOUT: about(images=2), b'/1': b'', b'/2': b'',
             b'paths': seal(0, None, b'a.jpg\0')}
    refused(database(tmp_path / 'fewer.lmdb', fewer), 'lists 1 images where .* 2')
    whole = open(packed(), 'rb').read()
    path.write_bytes(whole[:len(whole) // 2])
    refused(path, 'is cut off: .* bytes of')
    with pytest.raises(FileNotFoundError, match='none.lmdb does not exist'):
        ImageFolder(str(tmp_path / 'none.lmdb'))


def test_a_folder_of_that_name_stays_a_folder(scene, write, tmp_path):
    path = write('x.lmdb/y.lmdb/1.png', scene)
    assert np.array_equal(read_image(path).pixels, scene)
    assert infos(str(tmp_path / 'x.lmdb'))[1][0]['img_path'] == 'y.lmdb/1.png'
    out = str(tmp_path / 'x.lmdb' / 'z.lmdb')
    pack_folder(str(tmp_path / 'x.lmdb'), out, show_progress=False)
    assert np.array_equal(read_image(f'{out}/y.lmdb/1.png').pixels, scene)


def test_a_new_file_under_the_old_name_is_read(tmp_path):
    out, root = str(tmp_path / 'x.lmdb'), tmp_path / 'few'
    for count in (3, 5):
        write_images(root, count)
        pack_folder(str(root), out, raw=True, show_progress=False)
        dataset = ImageFolder(out, pipeline=[dict(type='LoadRSImage')])
        assert len(dataset) == count
        kept = dataset[2]['img']
    (tmp_path / 'same.lmdb').hardlink_to(out)
    assert len(ImageFolder(str(tmp_path / 'same.lmdb'))) == 5
    assert kept.tobytes() == read_image(str(root / '002.jpg')).pixels.tobytes()


def test_without_the_library(packed, folder, monkeypatch, tmp_path):
    out = packed()
    monkeypatch.setitem(sys.modules, 'lmdb', None)
    assert len(batches(folder)) == 4
    for call in (lambda: ImageFolder(out), lambda: read_image(f'{out}/a/8.tif'),
                 lambda: pack_folder(folder, str(tmp_path / 'new.lmdb'))):
        with pytest.raises(ImportError, match='need the library lmdb: install it with "pip'):
            call()

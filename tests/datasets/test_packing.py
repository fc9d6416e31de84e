"""What is written into a packed data set, and what is left of it where something fails."""
import cv2
import numpy as np
import pytest
from damaged_images import agree, damage, write_images
from PIL import Image

from cmid_mm.datasets import packing
from cmid_mm.datasets.image_reading import read_image
from cmid_mm.datasets.packed_images import find_packed
from cmid_mm.datasets.packing import pack_folder

pytest.importorskip('lmdb')


@pytest.fixture
def pack(tmp_path):
    """``pack(**options)``: pack the folder ``data``; the file and the report."""
    def call(name='x.lmdb', **options):
        out = tmp_path / name
        return str(out), pack_folder(str(tmp_path / 'data'), str(out), show_progress=False,
                                     **options)
    return call


@pytest.fixture
def sizes(write, tmp_path):
    """Images of several sizes and kinds below ``data``."""
    rows, columns = np.mgrid[:300, :400]
    large = np.stack([rows * 0.8, columns * 0.6, 255 - rows * 0.4], 2).astype(np.uint8)
    for name, pixels in {
            'tall.jpg': large.transpose(1, 0, 2), 'wide.png': large, 'grey.jpg': large[..., 0],
            'small.jpg': large[:99, :200], 'side.jpg': large[:100, :200]}.items():
        write(f'data/{name}', np.ascontiguousarray(pixels))
    return large


def below(out, name):
    packed, name = find_packed(f'{out}/{name}')
    return packed.entry(name)


def test_files_are_kept_byte_by_byte(sizes, pack, tmp_path):
    out, report = pack()
    for path in (tmp_path / 'data').iterdir():
        assert bytes(below(out, path.name).data) == path.read_bytes()
    total = sum(path.stat().st_size for path in (tmp_path / 'data').iterdir())
    assert report == dict(images=5, packed=5, unusable=[], how={'original': 5}, shrunk=0,
                          not_shrunk=0, bytes=total, packed_bytes=total)


def test_shrunk_to_the_shorter_side_in_their_aspect(sizes, pack, tmp_path):
    out, report = pack(shortest_side=100)
    assert (report['how'], report['shrunk']) == ({'JPEG': 3, 'original': 2}, 3)
    shapes = {path.name: read_image(f'{out}/{path.name}').pixels.shape
              for path in (tmp_path / 'data').iterdir()}
    assert shapes == {'tall.jpg': (133, 100, 3), 'wide.png': (100, 133, 3),
                      'grey.jpg': (100, 133, 1), 'small.jpg': (99, 200, 3),
                      'side.jpg': (100, 200, 3)}
    for name in ('small.jpg', 'side.jpg'):
        assert bytes(below(out, name).data) == (tmp_path / 'data' / name).read_bytes()
    expected = cv2.resize(sizes, (133, 100), interpolation=cv2.INTER_AREA).astype(int)
    fine = read_image(f'{out}/wide.png').pixels
    assert np.abs(fine - expected).mean() < 1
    out, coarse = pack('coarse.lmdb', shortest_side=100, quality=10)
    assert coarse['packed_bytes'] < report['packed_bytes']
    rough = np.abs(read_image(f'{out}/wide.png').pixels - expected).mean()
    assert rough > 2 * np.abs(fine - expected).mean()


def test_pixels_on_request(sizes, pack):
    out, report = pack(raw=True, shortest_side=100)
    assert (report['how'], report['shrunk']) == ({'pixels': 5}, 3)
    assert below(out, 'wide.png').shape == (100, 133, 3)
    expected = cv2.resize(sizes, (133, 100), interpolation=cv2.INTER_AREA)
    assert np.array_equal(read_image(f'{out}/wide.png').pixels, expected)
    assert report['packed_bytes'] == (133 * 7 + 99 * 2 * 3 + 200 * 3) * 100


def test_what_no_jpeg_holds_and_what_no_average_has(write_tiff, pack, tmp_path):
    (tmp_path / 'data').mkdir()
    values = np.arange(40 * 60 * 4).reshape(40, 60, 4) % 6000
    write_tiff('data/deep.tif', values.astype(np.uint16))
    write_tiff('data/four.tif', (values % 251).astype(np.uint8))
    write_tiff('data/holes.tif', values[..., :3].astype(np.uint16), nodata=0)
    write_tiff('data/long.tif', values[..., :3].astype(np.int32))
    write_tiff('data/complex.tif', values[..., :1].astype(np.complex64))
    Image.fromarray((values % 251).astype(np.uint8), 'RGBA').save(tmp_path / 'data/alpha.png')
    out, report = pack(shortest_side=20)
    assert (report['how'], report['shrunk'], report['not_shrunk']) == ({'original': 6}, 0, 6)
    assert read_image(f'{out}/deep.tif').pixels.shape[:2] == (40, 60)
    out, report = pack('raw.lmdb', shortest_side=20, raw=True)
    assert report['how'] == {'pixels': 5, 'original': 1}
    assert (report['shrunk'], report['not_shrunk']) == (3, 3)
    assert below(out, 'deep.tif').shape == (20, 30, 4) and below(out, 'alpha.png').alpha
    deep = below(out, 'deep.tif').pixels()
    means = values.reshape(20, 2, 30, 2, 4).mean((1, 3))
    assert deep.dtype == np.uint16 and np.abs(deep - means).max() <= 0.5
    holes = read_image(f'{out}/holes.tif')
    assert np.array_equal(holes.pixels, values[..., :3]) and holes.nodata == (0, 0, 0)


@pytest.mark.parametrize('workers', [0, 2])
def test_broken_images_are_named_and_left_out(tmp_path, pack, workers):
    paths = write_images(tmp_path / 'data', 70)
    said = damage(paths)
    said.pop(next(path for path, reason in said.items() if '5 band' in reason))
    out, report = pack(workers=workers)
    found = {str(tmp_path / 'data' / file): reason for file, reason in report['unusable']}
    assert agree(found, said)
    names = [path.name for path in paths if str(path) not in said]
    assert find_packed(out)[0].names() == names and report['packed'] == len(names)
    for path in paths:
        if str(path) not in said:
            assert bytes(below(out, path.name).data) == path.read_bytes()


def test_equal_folders_give_equal_bytes(tmp_path, pack):
    write_images(tmp_path / 'data', 70)
    first = open(pack(workers=0)[0], 'rb').read()
    assert open(pack(workers=2)[0], 'rb').read() == first


def test_more_than_the_room_at_first(sizes, pack, monkeypatch):
    monkeypatch.setattr(packing, '_ROOM', 2**15)
    monkeypatch.setattr(packing, '_BYTES_BETWEEN_COMMITS', 2**17)
    out, report = pack(raw=True)
    assert report['packed_bytes'] > 5 * 2**17 > 10 * 2**15
    assert np.array_equal(below(out, 'wide.png').pixels(), sizes)


def test_complete_or_absent(sizes, pack, tmp_path, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    def left():
        return [path.name for path in tmp_path.iterdir() if path.name != 'data']

    with monkeypatch.context() as patch:
        patch.setattr(packing, 'seal', fail)
        with pytest.raises(KeyboardInterrupt):
            pack()
    assert not left()
    out, _ = pack()
    before = open(out, 'rb').read()
    (tmp_path / 'data' / 'small.jpg').unlink()
    with monkeypatch.context() as patch:
        patch.setattr(packing, 'seal', fail)
        with pytest.raises(KeyboardInterrupt):
            pack()
    assert left() == ['x.lmdb'] and open(out, 'rb').read() == before
    assert pack()[1]['packed'] == 4 and left() == ['x.lmdb']


def test_names_that_are_hard_to_keep(tmp_path, pack):
    path, = write_images(tmp_path / 'data', 1)
    deep = tmp_path / 'data'
    for letter in 'abc':
        deep /= letter * 200
    deep.mkdir(parents=True)
    (deep / 'x.jpg').write_bytes(path.read_bytes())
    odd = path.with_name('line\nbreak \udcff.jpg')
    odd.write_bytes(path.read_bytes())
    out, report = pack()
    assert [reason for _, reason in report['unusable']] == [
        'has a path of more than 510 bytes: shorten it']
    assert sorted(find_packed(out)[0].names()) == sorted([path.name, odd.name])
    assert read_image(f'{out}/{odd.name}').pixels.shape == (40, 48, 3)


def test_refused_before_any_work(tmp_path, sizes, pack):
    data, out = str(tmp_path / 'data'), str(tmp_path / 'x.lmdb')
    for options, reason in (
            (dict(root=str(tmp_path / 'none'), out=out), 'none does not exist'),
            (dict(root=data, out=data), 'does not end in .lmdb, .* name it'),
            (dict(root=data, out=str(tmp_path / 'x.db')), 'name it .*x.db.lmdb'),
            (dict(root=data, out=out, shortest_side=0), 'shortest_side=0'),
            (dict(root=data, out=out, quality=0), 'quality=0: JPEG knows 1 to 100')):
        with pytest.raises((ValueError, FileNotFoundError), match=reason):
            pack_folder(**options)
    assert not (tmp_path / 'x.lmdb').exists()
    empty = tmp_path / 'empty'
    empty.mkdir()
    with pytest.raises(ValueError, match='empty holds no image'):
        pack_folder(str(empty), out)
    (empty / '1.jpg').write_text('text')
    with pytest.raises(ValueError, match='no usable image; the first: 1.jpg is not a JPEG'):
        pack_folder(str(empty), out, show_progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['data', 'empty']
    (tmp_path / 'x.lmdb').mkdir()
    with pytest.raises(ValueError, match='x.lmdb is a folder: give the name of the file'):
        pack_folder(data, out)
    out, _ = pack('y.lmdb')
    for other, reason in ((out, 'is the input itself'), ('z.lmdb', 'is packed already: give')):
        with pytest.raises(ValueError, match=f'y.lmdb {reason}'):
            pack_folder(out, other)

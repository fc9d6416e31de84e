import os
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from cmid_mm.datasets import folder_scan, scan_memory
from cmid_mm.datasets.folder_scan import scan_folder, walk

NAMES = ['b/2.JPG', 'b/10.png', 'a/deep/er/x.tif', 'a/z.Jpeg', 'B/1.TIFF', 'top.bmp',
         'é/ü.webp']


@pytest.fixture
def walks(monkeypatch):
    """List that grows by one whenever a folder is really read."""
    calls = []

    def counted(*args):
        calls.append(args)
        return walk(*args)

    monkeypatch.setattr(folder_scan, 'walk', counted)
    return calls


@pytest.fixture
def complaints(monkeypatch):
    lines = []
    monkeypatch.setattr(scan_memory, 'print_log', lambda line, **_: lines.append(line))
    return lines


def test_all_images_at_any_depth_sorted_by_bytes(tree):
    root = tree([*NAMES, 'notes.txt', 'b/.hidden.jpg', '.git/x.jpg', 'b/jpg'])
    found = scan_folder(str(root))
    assert found == sorted(NAMES, key=os.fsencode)
    assert found[0] == 'B/1.TIFF'  # 'B' sorts before 'a' by bytes
    assert scan_folder(str(root), remember=False) == found
    assert scan_folder(str(root), ('.txt',)) == ['notes.txt']


def test_remembered_until_a_folder_changes(tree, walks):
    root = tree(NAMES)
    first = scan_folder(str(root))
    assert scan_folder(str(root)) == first and len(walks) == 1
    assert scan_folder(str(root), remember=False) == first and len(walks) == 2

    (root / 'a' / 'deep' / 'er' / 'new.png').touch()
    tree([])
    assert len(scan_folder(str(root))) == len(first) + 1 and len(walks) == 3
    scan_folder(str(root))
    assert len(walks) == 3
    (root / 'b' / '2.JPG').unlink()
    assert 'b/2.JPG' not in scan_folder(str(root))
    tree([])
    scan_folder(str(root))
    (root / 'a').rename(root / 'renamed')
    assert 'renamed/z.Jpeg' in scan_folder(str(root))


def test_recent_change_is_not_remembered(tree, walks):
    # Within the same tick of the file system's clock a further change would not show.
    root = tree(NAMES)
    os.utime(root / 'b')
    scan_folder(str(root))
    scan_folder(str(root))
    assert len(walks) == 2


@pytest.mark.parametrize('damage', [
    lambda data: b'', lambda data: data[:-9], lambda data: data[:80] + b'?' + data[81:],
    lambda data: b'\x80\x04no pickle is read', lambda data: data.replace(b'top', b'pot'),
])
def test_damaged_memory_costs_a_log_line_only(tree, own_cache, complaints, walks, damage):
    root = str(tree(NAMES))
    first = scan_folder(root)
    [memory] = own_cache.glob('*.json')
    complaints.clear()
    memory.write_bytes(damage(memory.read_bytes()))
    assert scan_folder(root) == first and len(walks) == 2
    assert any('cannot be remembered' in line for line in complaints)
    assert scan_folder(root) == first and len(walks) == 2  # repaired


def test_unwritable_memory_costs_a_log_line_only(tree, tmp_path, monkeypatch, complaints):
    root = str(tree(NAMES))
    (tmp_path / 'file').touch()
    monkeypatch.setenv('CMID_CACHE', str(tmp_path / 'file' / 'cache'))
    assert len(scan_folder(root)) == len(NAMES)
    assert complaints and all(root in line for line in complaints)


def test_unfinished_memory_leaves_nothing(tree, own_cache, complaints, monkeypatch):
    def full_disk(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', full_disk)
    assert len(scan_folder(str(tree(NAMES)))) == len(NAMES)
    assert any('No space left' in line for line in complaints)
    assert not list(own_cache.glob('*.part')) and not list(own_cache.glob('*.json'))


def test_processes_at_once_read_the_folder_once(tree, monkeypatch, complaints):
    root = str(tree(NAMES))
    reads = []

    def slow(*args):
        reads.append(args)
        sleep(0.5)
        return walk(*args)

    monkeypatch.setattr(folder_scan, 'walk', slow)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(scan_folder, [root] * 4))
    assert len(reads) == 1 and all(result == results[0] for result in results)
    assert any('waiting' in line for line in complaints)


def test_right_without_the_lock(tree, monkeypatch, walks):
    monkeypatch.setattr(scan_memory, '_LOCK_WAIT_SECONDS', 0)
    assert len(scan_folder(str(tree(NAMES)))) == len(NAMES)
    monkeypatch.setattr(scan_memory, 'fcntl', None)
    assert len(scan_folder(str(tree([])), ('.bmp',))) == 1


def test_links_are_followed_but_not_in_circles(tree, tmp_path):
    root = tree(['a/1.jpg'])
    elsewhere = tree(['2.jpg'], tmp_path / 'elsewhere')
    (root / 'linked').symlink_to(elsewhere)
    (root / 'a' / 'circle').symlink_to(root)
    assert scan_folder(str(root)) == ['a/1.jpg', 'linked/2.jpg']


def test_progress_is_told(tree, monkeypatch):
    lines = []
    monkeypatch.setattr(folder_scan, 'print_log', lambda line, **_: lines.append(line))
    progress = folder_scan.Progress('Scanning here', seconds=0)
    progress.update(12345)
    assert '12,345' in lines[0] and 'per second' in lines[0]
    progress.seconds = 60
    progress.update(99999)
    assert len(lines) == 1
    root = tree(NAMES)
    walk(str(root), ('.jpg',))
    assert lines[-1].startswith('Found 1 images in ')


def test_bad_folders_are_named(tree, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
        scan_folder(str(tmp_path / 'nowhere'))
    root = tree(NAMES)
    with pytest.raises(NotADirectoryError, match='top.bmp is not a folder'):
        scan_folder(str(root / 'top.bmp'))

    def forbidden(path):
        raise PermissionError(13, 'Permission denied', path)

    monkeypatch.setattr(os, 'scandir', forbidden)
    with pytest.raises(OSError, match=f'{root} cannot be read .Permission denied'):
        scan_folder(str(root))

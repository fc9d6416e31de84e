import os

import pytest
from damaged_images import refused

from cmid_mm.datasets import folder_scan
from cmid_mm.datasets.folder_scan import on_first_process, scan_folder
from cmid_mm.utils.errors import CMIDError, MissingFileError

NAMES = ['b/2.JPG', 'b/10.png', 'a/deep/er/x.tif', 'a/z.Jpeg', 'B/1.TIFF', 'top.bmp',
         'é/ü.webp']


def test_all_images_at_any_depth_sorted_by_bytes(tree):
    root = tree([*NAMES, 'notes.txt', 'b/.hidden.jpg', '.git/x.jpg', 'b/jpg'])
    found = scan_folder(str(root))
    assert found == sorted(NAMES, key=os.fsencode)
    assert found[0] == 'B/1.TIFF'  # 'B' sorts before 'a' by bytes
    assert scan_folder(str(root), ('.txt',)) == ['notes.txt']


def test_a_change_is_found_whatever_the_times_of_the_folders(tree):
    """An archive restores a folder's time after its content has changed."""
    root = tree(NAMES)
    scan_folder(str(root))
    before = os.stat(root / 'b')
    (root / 'b' / '2.JPG').rename(root / 'b' / '3.JPG')
    os.utime(root / 'b', ns=(before.st_atime_ns, before.st_mtime_ns))
    assert 'b/3.JPG' in scan_folder(str(root)) and 'b/2.JPG' not in scan_folder(str(root))


def test_links_are_followed_but_not_in_circles(tree, tmp_path):
    root = tree(['a/1.jpg'])
    (root / 'linked').symlink_to(tree(['2.jpg'], tmp_path / 'elsewhere'))
    (root / 'a' / 'circle').symlink_to(root)
    assert scan_folder(str(root)) == ['a/1.jpg', 'linked/2.jpg']


def test_progress_is_logged(tree, monkeypatch):
    lines = []
    monkeypatch.setattr(folder_scan, 'print_log', lambda line, **_: lines.append(line))
    progress = folder_scan.Progress('Scanning here', seconds=0)
    progress.update(12345)
    assert '12,345' in lines[0] and 'per second' in lines[0]
    progress.seconds = 60
    progress.update(99999)
    assert len(lines) == 1
    scan_folder(str(tree(NAMES)), ('.jpg',))
    assert lines[-1].startswith('Found 1 images in ')


def test_the_first_process_scans_for_all(tree, monkeypatch):
    """The others read nothing, and fail as the first one does."""
    root, sent = str(tree(NAMES)), []
    monkeypatch.setattr(folder_scan, 'broadcast_object_list', sent.extend)
    files = on_first_process(scan_folder, root)
    with pytest.raises(MissingFileError):
        on_first_process(scan_folder, f'{root}/none')
    monkeypatch.setattr(folder_scan, 'is_main_process', lambda: False)
    monkeypatch.setattr(folder_scan, 'broadcast_object_list',
                        lambda outcome: outcome.__setitem__(0, sent.pop(0)))
    assert on_first_process(None) == files
    refused(lambda: on_first_process(None), MissingFileError, 'none does not exist')


def test_a_folder_that_cannot_be_read_is_named(tree, monkeypatch):
    def forbidden(path):
        raise PermissionError(13, 'Permission denied', path)

    root = str(tree(NAMES))
    monkeypatch.setattr(os, 'scandir', forbidden)
    refused(lambda: scan_folder(root), CMIDError, 'cannot be read .Permission denied', root)

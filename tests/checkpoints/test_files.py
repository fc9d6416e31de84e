"""Safe reading, integrity, and the checkpoint that a run resumes from."""
import collections
import os

import pytest
import torch
from damaged_images import refused
from mmengine.logging import HistoryBuffer

from cmid_mm.checkpoints.files import (
    clear_unfinished,
    damage,
    latest_checkpoint,
    load_checkpoint_file,
    load_checkpoint_url,
)


def test_a_checkpoint_is_read(tmp_path):
    """Also after mmengine of the onedl family has removed its classes from torch's list."""
    buffer = HistoryBuffer()
    buffer.update(3.)
    path, kept = tmp_path / 'x.pth', tmp_path / 'kept'
    torch.save(dict(weight=torch.arange(3), log=buffer), path)
    with torch.serialization.safe_globals([HistoryBuffer]):
        pass
    for found in (load_checkpoint_file(path, torch.device('cpu')),
                  load_checkpoint_url(path.as_uri(), str(kept), progress=False)):
        assert found['weight'].tolist() == [0, 1, 2] and found['log'].current() == 3
    assert (kept / 'x.pth').is_file()


@pytest.mark.parametrize('zipped', [False, True])
def test_other_files_are_refused(tmp_path, zipped):
    path, kept = tmp_path / 'x.pth', str(tmp_path / 'kept')
    options = dict(_use_new_zipfile_serialization=zipped)
    address = path.as_uri()
    with pytest.raises(FileNotFoundError, match='no such checkpoint: .*x.pth'):
        load_checkpoint_file(path)
    with pytest.raises(OSError):
        load_checkpoint_url(address, kept, progress=False)
    torch.save(dict(weight=torch.arange(3000)), path, **options)
    data = path.read_bytes()
    for cut in (0, 1, 100, len(data) // 2):
        path.write_bytes(data[:cut])
        refused(lambda: load_checkpoint_file(path), ValueError,
                'x.pth cannot be read as a checkpoint .*damaged')
    torch.save(torch.zeros(1), path, **options)
    refused(lambda: load_checkpoint_file(path), ValueError, 'holds a Tensor, no checkpoint')
    torch.save(dict(meta=collections.UserDict()), path, **options)
    for load in (load_checkpoint_file, lambda path: load_checkpoint_url(
            address, kept, progress=False)):
        refused(lambda: load(path), ValueError,  # noqa: B023
                'x.pth holds a collections.UserDict and would have to run code to be read')


@pytest.mark.parametrize('kind', [torch.OutOfMemoryError, PermissionError, MemoryError])
def test_errors_of_the_machine_keep_their_class(kind, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise kind('the machine')

    (tmp_path / 'x.pth').touch()
    monkeypatch.setattr(torch, 'load', fail)
    with pytest.raises(kind, match='the machine'):
        load_checkpoint_file(tmp_path / 'x.pth')


# ------------------------------------------------------------------- the newest whole one


@pytest.fixture
def run(tmp_path):
    """Three checkpoints, an hour apart; the pointer names the newest."""
    for number in (1, 2, 3):
        path = tmp_path / f'epoch_{number}.pth'
        torch.save(dict(a=torch.arange(1000.) + number), path)
        os.utime(path, (3600 * number, 3600 * number))
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/before/the/move/epoch_3.pth')
    return tmp_path


@pytest.mark.parametrize('pointer, number', [
    (b'/elsewhere/before/the/move/epoch_3.pth', 3), (b'epoch_2.pth', 2), (b'\xff\xfe', 3),
    (None, 3)])
def test_the_pointer_decides_and_its_folder_does_not_count(run, pointer, number):
    (run / 'last_checkpoint').unlink()
    if pointer:
        (run / 'last_checkpoint').write_bytes(pointer)
    assert latest_checkpoint(str(run)) == str(run / f'epoch_{number}.pth')


def test_a_flipped_bit_that_torch_ignores_is_found(run):
    path = run / 'epoch_3.pth'
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    assert 'a' in torch.load(path, weights_only=True)
    assert 'checksum' in damage(str(path))
    assert latest_checkpoint(str(run)) == str(run / 'epoch_2.pth')


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'no archive'])
def test_truncated_files_are_skipped(run, content):
    assert latest_checkpoint(str(run / 'new')) is None
    whole = (run / 'epoch_3.pth').read_bytes()
    (run / 'epoch_3.pth').write_bytes(content or whole[:-100])
    (run / 'epoch_2.pth').write_bytes(content)
    assert latest_checkpoint(str(run)) == str(run / 'epoch_1.pth')
    (run / 'epoch_1.pth').write_bytes(content)
    with pytest.raises(ValueError, match='all 3 checkpoints .* are damaged'):
        latest_checkpoint(str(run))


def test_unfinished_files_of_killed_processes_are_removed(run):
    (run / 'epoch_4.pth.77.part').write_bytes(b'half')
    (run / 'notes.part').write_text('not ours')
    clear_unfinished(str(run))
    assert sorted(path.name for path in run.iterdir()) == [
        'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'last_checkpoint', 'notes.part']

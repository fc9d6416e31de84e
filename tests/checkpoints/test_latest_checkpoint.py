"""Which checkpoint a run goes on from."""
import os

import pytest
import torch

from cmid_mm.checkpoints.files import clear_unfinished, damage, latest_checkpoint


@pytest.fixture
def run(tmp_path):
    """Three checkpoints, an hour apart; the pointer names the newest."""
    for number in (1, 2, 3):
        path = tmp_path / f'epoch_{number}.pth'
        torch.save(dict(a=torch.arange(1000.) + number), path)
        os.utime(path, (3600 * number, 3600 * number))
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/before/the/move/epoch_3.pth')
    return tmp_path


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_the_pointer_decides_and_its_folder_does_not_count(run):
    assert latest_checkpoint(str(run)) == str(run / 'epoch_3.pth')
    (run / 'last_checkpoint').write_text('epoch_2.pth')
    assert latest_checkpoint(str(run)) == str(run / 'epoch_2.pth')
    (run / 'last_checkpoint').write_bytes(b'\xff\xfe')
    assert latest_checkpoint(str(run)) == str(run / 'epoch_3.pth')
    (run / 'last_checkpoint').unlink()
    assert latest_checkpoint(str(run)) == str(run / 'epoch_3.pth')


def test_a_flipped_bit_that_torch_does_not_see_is_seen(run):
    path = run / 'epoch_3.pth'
    flip(path, 2000)
    assert 'a' in torch.load(path, weights_only=True)
    assert 'checksum' in damage(str(path))
    assert latest_checkpoint(str(run)) == str(run / 'epoch_2.pth')


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'no archive'])
def test_a_cut_file_is_passed_over(run, content):
    whole = (run / 'epoch_3.pth').read_bytes()
    (run / 'epoch_3.pth').write_bytes(content or whole[:-100])
    (run / 'epoch_2.pth').write_bytes(content)
    assert latest_checkpoint(str(run)) == str(run / 'epoch_1.pth')


def test_nothing_and_nothing_whole(run, tmp_path):
    assert latest_checkpoint(str(tmp_path / 'new')) is None
    for number in (1, 2, 3):
        (run / f'epoch_{number}.pth').write_bytes(b'')
    with pytest.raises(ValueError, match='all 3 checkpoints .* are damaged'):
        latest_checkpoint(str(run))


def test_what_a_killed_process_left_is_cleared(run):
    (run / 'epoch_4.pth.77.part').write_bytes(b'half')
    (run / 'notes.part').write_text('not ours')
    clear_unfinished(str(run))
    assert sorted(path.name for path in run.iterdir()) == [
        'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'last_checkpoint', 'notes.part']

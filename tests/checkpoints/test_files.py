"""What becomes of files that are no checkpoint."""
import collections

import pytest
import torch

from cmid_mm.checkpoints.backbone import extract_backbone
from cmid_mm.checkpoints.files import load_checkpoint_file, load_checkpoint_url


def exported(meta):
    state = {'backbone.weight': torch.ones(2), 'data_preprocessor.mean': torch.zeros(4),
             'data_preprocessor.std': torch.ones(4)}
    return extract_backbone(dict(state_dict=state, meta=meta))['meta']


def refuse(path, match):
    with pytest.raises(ValueError, match=match) as error:
        load_checkpoint_file(str(path))
    message = str(error.value)
    assert message.startswith(str(path)) and '\n' not in message
    assert 'weights_only' not in message


def test_a_checkpoint_comes_back(tmp_path):
    torch.save(dict(weight=torch.arange(3)), tmp_path / 'x.pth')
    found = load_checkpoint_file(tmp_path / 'x.pth', torch.device('cpu'))
    assert found['weight'].tolist() == [0, 1, 2]


@pytest.mark.parametrize('zipped', [False, True])
def test_what_is_no_checkpoint_is_named(tmp_path, zipped):
    path = tmp_path / 'x.pth'
    with pytest.raises(FileNotFoundError, match='no such checkpoint: .*x.pth'):
        load_checkpoint_file(path)
    options = dict(_use_new_zipfile_serialization=zipped)
    torch.save(dict(weight=torch.arange(3000)), path, **options)
    data = path.read_bytes()
    for cut in (0, 1, 100, len(data) // 2):
        path.write_bytes(data[:cut])
        refuse(path, 'cannot be read as a checkpoint .*damaged')
    torch.save(torch.zeros(1), path, **options)
    refuse(path, 'holds a Tensor, no checkpoint')
    torch.save(dict(meta=collections.UserDict()), path, **options)
    refuse(path, 'holds a collections.UserDict and would have to run code to be read')


@pytest.mark.parametrize('zipped', [False, True])
def test_what_comes_from_the_net_runs_nothing(tmp_path, zipped):
    source, kept = tmp_path / 'x.pth', tmp_path / 'kept'
    options = dict(_use_new_zipfile_serialization=zipped)
    torch.save(dict(weight=torch.arange(3)), source, **options)
    found = load_checkpoint_url(source.as_uri(), str(kept), progress=False)
    assert found['weight'].tolist() == [0, 1, 2] and (kept / 'x.pth').is_file()
    torch.save(dict(meta=collections.UserDict()), tmp_path / 'y.pth', **options)
    with pytest.raises(ValueError, match='y.pth holds a collections.UserDict and would have'):
        load_checkpoint_url((tmp_path / 'y.pth').as_uri(), str(kept), progress=False)
    with pytest.raises(OSError):
        load_checkpoint_url((tmp_path / 'z.pth').as_uri(), str(kept), progress=False)


def test_an_error_of_the_machine_keeps_its_kind(tmp_path, monkeypatch):
    (tmp_path / 'x.pth').touch()
    for kind in (torch.OutOfMemoryError, PermissionError, MemoryError):
        def fail(*args, kind=kind, **kwargs):
            raise kind('the machine')
        monkeypatch.setattr(torch, 'load', fail)
        with pytest.raises(kind, match='the machine'):
            load_checkpoint_file(tmp_path / 'x.pth')


def test_export_says_how_raw_values_became_bytes():
    loading = dict(bands=4, band_indices=None, value_range=[[0.0, 3000.0]] * 4)
    meta = exported(dict(dataset_meta=dict(classes=None, loading=loading), epoch=2))
    assert meta['loading'] == loading and meta['bands'] == 4 and meta['epoch'] == 2
    for other in ({}, dict(dataset_meta=None), dict(dataset_meta=dict(classes=('a', )))):
        assert exported(other)['loading'] is None


def test_what_others_take_off_torchs_list_is_put_back(tmp_path):
    """As the onedl family's mmengine does whenever it reads a file by itself."""
    from mmengine.logging import HistoryBuffer
    buffer = HistoryBuffer()
    buffer.update(3.)
    torch.save(dict(log=buffer), tmp_path / 'x.pth')
    with torch.serialization.safe_globals([HistoryBuffer]):
        pass
    found = load_checkpoint_file(tmp_path / 'x.pth')
    assert found['log'].current() == 3

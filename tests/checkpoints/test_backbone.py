"""Backbones that are read from files, and what an export states."""
import contextlib

import pytest
import torch

from cmid_mm.checkpoints import backbone
from cmid_mm.checkpoints.backbone import BackboneFile, read_backbone_file
from cmid_mm.checkpoints.export import extract_backbone


def test_addresses_are_downloaded_and_read_as_untrusted_files(tmp_path, monkeypatch):
    """mmengine's own loader executes code in what it downloads."""
    @contextlib.contextmanager
    def get_local_path(address):
        assert address == 'https://example.org/r50.pth'
        yield tmp_path / 'b.pth'

    monkeypatch.setattr(backbone, 'get_local_path', get_local_path)
    torch.save({'backbone.a': torch.ones(2)}, tmp_path / 'b.pth')
    file = read_backbone_file('https://example.org/r50.pth')
    assert file.name == 'r50.pth' and torch.equal(file.tensors['a'], torch.ones(2))
    torch.save({'backbone.a': torch.ones(2), 'code': print}, tmp_path / 'b.pth')
    with pytest.raises(ValueError, match='would have to run code'):
        read_backbone_file('https://example.org/r50.pth')


def test_damaged_safetensors(tmp_path):
    pytest.importorskip('safetensors')
    path = tmp_path / 'x.safetensors'
    with pytest.raises(FileNotFoundError, match='no such checkpoint'):
        read_backbone_file(str(path))
    path.write_bytes(b'no such thing')
    with pytest.raises(ValueError, match='cannot be read as safetensors'):
        read_backbone_file(str(path))


def test_a_prefix_that_no_key_has_means_none(tmp_path):
    torch.save({'backbone.a': torch.ones(1), 'head.b': torch.ones(1)}, tmp_path / 'b.pth')
    for prefix, keys in ((None, {'a'}), ('encoder.', {'a'}), ('head', {'b'})):
        assert set(read_backbone_file(str(tmp_path / 'b.pth'), prefix=prefix).tensors) == keys


@pytest.mark.parametrize('dataset_meta, expected', [
    (dict(classes=None, loading=dict(bands=4)), dict(bands=4)), (None, None),
    (dict(classes=('a', )), None)])
def test_exports_state_how_raw_values_became_bytes(dataset_meta, expected):
    state = {'backbone.weight': torch.ones(2), 'data_preprocessor.mean': torch.zeros(4),
             'data_preprocessor.std': torch.ones(4)}
    meta = extract_backbone(dict(
        state_dict=state, meta=dict(dataset_meta=dataset_meta, epoch=0)))['meta']
    assert meta['loading'] == expected
    assert str(BackboneFile('b.pth', {}, meta)) == 'b.pth (student, 4 bands, epoch 0)'

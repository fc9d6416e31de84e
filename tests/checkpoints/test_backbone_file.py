"""Where a backbone is read from."""
import contextlib

import pytest
import torch

from cmid_mm.checkpoints import backbone_file
from cmid_mm.checkpoints.backbone_file import BackboneFile, read_backbone_file


def test_addresses_are_downloaded_and_read_as_untrusted_files(tmp_path, monkeypatch):
    """mmengine's own loader unpickles what it downloads."""
    asked = []

    @contextlib.contextmanager
    def get_local_path(address):
        asked.append(address)
        yield tmp_path / 'b.pth'

    monkeypatch.setattr(backbone_file, 'get_local_path', get_local_path)
    torch.save({'backbone.a': torch.ones(2)}, tmp_path / 'b.pth')
    file = read_backbone_file('https://example.org/r50.pth')
    assert asked == ['https://example.org/r50.pth'] and file.name == 'r50.pth'
    assert torch.equal(file.tensors['a'], torch.ones(2))
    torch.save({'backbone.a': torch.ones(2), 'code': print}, tmp_path / 'b.pth')
    with pytest.raises(ValueError, match='would have to run code'):
        read_backbone_file('https://example.org/r50.pth')


def test_damaged_safetensors(tmp_path):
    pytest.importorskip('safetensors')
    path = tmp_path / 'x.safetensors'
    path.write_bytes(b'no such thing')
    with pytest.raises(ValueError, match='cannot be read as safetensors'):
        read_backbone_file(str(path))
    with pytest.raises(FileNotFoundError, match='no such checkpoint'):
        read_backbone_file(str(tmp_path / 'y.safetensors'))


def test_a_prefix_that_no_key_has_is_as_good_as_none(tmp_path):
    torch.save({'backbone.a': torch.ones(1), 'head.b': torch.ones(1)}, tmp_path / 'b.pth')
    for prefix, keys in ((None, {'a'}), ('encoder.', {'a'}), ('head', {'b'})):
        assert set(read_backbone_file(str(tmp_path / 'b.pth'), prefix=prefix).tensors) == keys


@pytest.mark.parametrize('meta,text', [
    ({}, 'b.pth'), (dict(epoch=0), 'b.pth (epoch 0)'),
    (dict(encoder='teacher', bands=4, epoch=18), 'b.pth (teacher, 4 bands, epoch 18)')])
def test_name_in_reports(meta, text):
    assert str(BackboneFile('b.pth', {}, meta)) == text

"""Images of the probes of a pre-training."""
import pytest
from labelled_run import labelled_config
from mmpretrain.registry import DATASETS

from cmid_mm.evaluation import probes
from cmid_mm.evaluation.probes import leave_out_broken, probe_parts
from cmid_mm.utils.errors import CMIDError


def test_broken_images_are_named_and_left_out(tmp_path, monkeypatch):
    cfg = labelled_config(tmp_path)
    loader, _ = probe_parts(cfg)
    whole = DATASETS.build(loader.dataset)
    leave_out_broken(whole)
    assert len(whole) == 45 + 12
    broken = [tmp_path / 'labelled' / 'town' / '03.png', tmp_path / 'places' / 'masks' / '05.png']
    for path in broken:
        path.write_bytes(b'no picture, however long it is')
    lines = []
    monkeypatch.setattr(probes, 'print_log', lambda line, *args: lines.append(line))
    dataset = DATASETS.build(loader.dataset)
    leave_out_broken(dataset)
    assert len(dataset) == 55 and [len(part) for part in dataset.datasets] == [35, 9, 11]
    assert len(lines) == 2 and all(str(path) in line for path, line in zip(broken, lines))
    kept = [whole.get_data_info(i)['img_path'] for i in range(57)]
    kept.remove(str(broken[0])), kept.remove(str(tmp_path / 'places' / 'images' / '05.png'))
    assert [dataset[i]['data_samples'].img_path for i in range(55)] == kept
    for path in sorted((tmp_path / 'labelled').rglob('*.png'))[:5]:
        path.write_bytes(b'')
    with pytest.raises(CMIDError, match='7 of 57 images of the probes cannot be read; the first'):
        leave_out_broken(DATASETS.build(loader.dataset))

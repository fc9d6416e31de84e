import pytest
import torch
from tiny_run import tiny_config

from cmid_mm.benchmark.loader import (
    build_loader,
    bytes_per_sample,
    endless,
    loader_config,
    measure_loaders,
)
from cmid_mm.benchmark.variants import BUILT_IN

BOTH = [BUILT_IN['published'], BUILT_IN['default']]


def test_only_the_published_variant_has_another_pipeline(tmp_path):
    cfg = tiny_config(tmp_path)
    assert loader_config(cfg, BUILT_IN['default']) == cfg.train_dataloader
    assert loader_config(cfg, BUILT_IN['published+bfloat16']) == cfg.train_dataloader
    pipeline = loader_config(cfg, BUILT_IN['published']).dataset.pipeline
    assert pipeline == [dict(type='PublishedPipeline', size=64)]
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2,
                                        dataset=cfg.train_dataloader.dataset)
    with pytest.raises(ValueError, match='has no pipeline that the published one'):
        loader_config(cfg, BUILT_IN['published'])


def test_epochs_follow_each_other(tmp_path):
    loader = build_loader(tiny_config(tmp_path).train_dataloader)
    stream = endless(loader)
    keys = [next(stream)['view_keys'] for _ in range(9)]
    first, second = torch.cat(keys[:4]), torch.cat(keys[4:8])
    assert len(first.unique()) == len(second.unique()) == 2 * 16
    assert not torch.equal(first.sort(0)[0], second.sort(0)[0])


def test_bytes_are_those_of_the_tensors():
    batch = dict(a=torch.zeros(4, 10, dtype=torch.uint8), b=[torch.zeros(4, 2)], c='text')
    assert bytes_per_sample(batch, 4) == 10 + 2 * 4


@pytest.mark.parametrize('workers', [0, 2])
def test_numbers_of_both_loaders(tmp_path, workers):
    cfg = tiny_config(tmp_path, options={'train_dataloader.num_workers': workers})
    threads = torch.get_num_threads()
    found = measure_loaders(cfg, BOTH, 4, 1)
    assert torch.get_num_threads() == threads
    published, default = found['published'], found['default']
    # two uint8 views, boxes, keys and the mark of a broken image
    assert default['bytes_per_sample'] == 2 * 3 * 64**2 + 2 * 5 * 4 + 2 * 8 + 8
    assert published['bytes_per_sample'] == 4 * 3 * 64**2 * 4 + 2 * 16**2 * 8 + 2 * 4 * 2 * 4
    assert default['ratio']['count'] == default['per_core']['count'] == 4
    assert default['ratio']['median'] > 1 and 'ratio' not in published
    for numbers in found.values():
        assert numbers['workers'] == workers
        many = numbers['with_workers']
        assert (many is None) == (workers == 0)
        if many:
            assert many['per_worker'] * workers == many['images_per_second']['median'] > 0
            assert many['per_cpu_second'] > 0


def test_a_folder_that_is_not_there(tmp_path):
    cfg = tiny_config(tmp_path, options={'train_dataloader.dataset.data_root': 'gone'})
    with pytest.raises(FileNotFoundError, match='gone'):
        build_loader(cfg.train_dataloader)

"""Change detection: with mmseg alone, and with open-cd where it is there."""
from pathlib import Path

import cv2
import pytest
import torch
from dense_trees import light, write_images, write_masks
from downstream_steps import small, train_and_test
from mmengine.config import Config

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'change_detection'
CONFIGS = sorted(FOLDER.glob('*.py')) + sorted(FOLDER.glob('opencd/*.py'))
RECIPES = [path for path in CONFIGS if path.stem.endswith(('cdd', 'levir-cd'))]
# configs of one backbone and head have one model; the data of the others are read below
STEPS = [path for path in CONFIGS if not path.stem.endswith('levir-cd')]


def name_of(path):
    return str(path.relative_to(FOLDER).with_suffix(''))


def load(path):
    pytest.importorskip('opencd' if path.parent.name == 'opencd' else 'mmseg')
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    return cfg


def point_to(cfg, root, size=64):
    """Data of the config under ``root``, written in the tree that the config names."""
    names = ('one', 'two')
    for part in ('train', 'val', 'test'):
        dataset = cfg[f'{part}_dataloader'].dataset
        dataset.data_root = str(root)
        folders = dict(dataset.data_prefix)
        masks = folders.pop('seg_map_path')
        write_images(root, folders.values(), names, size, dataset.get('img_suffix', '.png'))
        write_masks(root, [masks], names, size, [0, 255])
    return cfg


@pytest.mark.parametrize('path', STEPS, ids=name_of)
def test_takes_a_step_and_scores(path, tmp_path):
    cfg = point_to(light(small(load(path))), tmp_path)
    losses, metrics, runner = train_and_test(cfg, tmp_path / 'work')
    assert 'decode.loss_ce' in losses
    assert set(metrics) == {f'change/{name}' for name in ('precision', 'recall', 'f1', 'iou')}
    assert all(0 <= value <= 100 for value in metrics.values())
    assert runner.model.decode_head.num_classes == 2


@pytest.mark.parametrize('path', RECIPES, ids=name_of)
def test_masks_are_read_as_two_classes_and_images_as_rgb(path, tmp_path):
    cfg = point_to(load(path), tmp_path)
    from mmengine.registry import DATASETS, MODELS, DefaultScope
    DefaultScope.get_instance(str(path), scope_name=cfg.default_scope)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    sample = dataset[0]
    label = sample['data_samples'].gt_sem_seg.data[0, 0]
    assert torch.unique_consecutive(label).tolist() == [0, 1]
    # what the backbone gets: RGB of A, then of B
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    inputs = preprocessor(dict(inputs=[sample['inputs']],
                               data_samples=[sample['data_samples']]))['inputs'][0]
    ending = cfg.test_dataloader.dataset.get('img_suffix', '.png')
    mean, std = (torch.tensor(cfg.model.data_preprocessor[key][:3])[:, None, None]
                 for key in ('mean', 'std'))
    for date, bands in (('A', inputs[:3]), ('B', inputs[3:])):
        image = cv2.imread(str(tmp_path / 'test' / date / f'one{ending}'))[..., ::-1]
        wanted = torch.from_numpy(image.copy()).permute(2, 0, 1)
        torch.testing.assert_close(
            bands * std + mean, wanted.float(), atol=2.5 if ending == '.jpg' else 1e-3,
            rtol=0)


@pytest.mark.parametrize('path', RECIPES, ids=name_of)
def test_settings_of_the_paper(path):
    cfg = Config.fromfile(path)
    optimizer = cfg.optim_wrapper.optimizer
    if '_r50_' in path.stem:
        assert dict(optimizer) == dict(
            type='SGD', lr=0.002, momentum=0.99, weight_decay=5e-4)
    else:
        assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == (
            'AdamW', 6e-5, 0.01)
    assert (cfg.train_cfg.max_epochs, cfg.train_dataloader.batch_size) == (200, 8)
    decay, = cfg.param_scheduler
    assert (decay.type, decay.power, decay.eta_min, decay.end) == ('PolyLR', 1.0, 0.0, 202)
    turns = cfg.train_dataloader.dataset.pipeline[2]
    assert (turns.rotate_prob, turns.flip_prob) == (0.0, 0.75)
    assert cfg.val_evaluator.type == cfg.test_evaluator.type == 'mmpretrain.ChangeMetric'
    if path.stem.startswith('bit_'):
        head = cfg.model.decode_head
        assert (head.type, head.channels, head.token_len, head.enc_depth, head.dec_depth,
                head.num_heads) == ('BITHead', 32, 4, 1, 8, 8)
        assert 16 // (head.pre_upsample * head.upsample_size) == 1
        stages = cfg.model.backbone.get('num_stages') or len(cfg.model.backbone.arch.depths)
        assert stages == 3


def test_linear_decay_ends_one_epoch_after_the_last():
    from mmengine.optim import PolyLR
    cfg = Config.fromfile(next(path for path in RECIPES if 'swin' in path.stem))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    settings = {key: value for key, value in cfg.param_scheduler[0].items() if key != 'type'}
    scheduler = PolyLR(optimizer, **settings)
    rates = []
    for _ in range(200):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([1 - epoch / 201 for epoch in range(200)])


@pytest.mark.parametrize('path', RECIPES, ids=name_of)
def test_both_sets_have_one_model_and_one_recipe(path):
    cfg = Config.fromfile(path)
    other = Config.fromfile(path.with_name(path.name.replace('levir-cd', 'cdd')))
    for key in ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg'):
        assert cfg[key] == other[key], key


def test_open_cd_s_network_is_that_of_mmseg_alone():
    """Same parts, so weights go from one to the other and give the same logits."""
    from mmengine.registry import MODELS, DefaultScope
    models = []
    for pattern in ('siamese-upernet_r50_*_cdd.py',
                    'opencd/siam-upernet_r50_*_cdd.py'):
        path, = FOLDER.glob(pattern)
        cfg = light(load(path))
        DefaultScope.get_instance(name_of(path), scope_name=cfg.default_scope)
        models.append(MODELS.build(cfg.model).eval())
    models[1].load_state_dict(models[0].state_dict())
    inputs = torch.randn(1, 6, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(models[0](inputs), models[1](inputs))

"""Every classification config parses, builds, takes a step and scores every image."""
import tempfile
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from downstream_steps import small, train_and_test
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmpretrain.registry import DATASETS, MODELS, TRANSFORMS

from cmid_mm.evaluation.metrics.weighted_knn import weighted_knn

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'classification'
LEAVES = sorted(path for path in FOLDER.rglob('*.py') if '_base_' not in path.parts)
NAMES = {str(path.relative_to(FOLDER)): path for path in LEAVES}
BACKBONES = ('resnet50', 'swin-base', 'vit-base')
PROTOCOLS = dict(finetune='finetune_1xb16-amp-adan-200e', linear='linear_1xb64-sgd-90e',
                 knn='knn')
# images in all, classes, share that trains
SETS = {'ucm-80': (2100, 21), 'aid-20': (10_000, 30), 'aid-50': (10_000, 30),
        'nwpu-10': (31_500, 45), 'nwpu-20': (31_500, 45)}
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def leaf(backbone, protocol, name):
    return NAMES[f'{name.split("-")[0]}/{backbone}_{PROTOCOLS[protocol]}_{name}.py']


def load(path):
    """A config; what takes long in a real training is taken out."""
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=-1)
    return cfg


def datasets_of(cfg):
    """The data sets of all loaders, those within a ConcatDataset too."""
    found = [cfg[name].dataset for name in LOADERS if name in cfg]
    return [part for dataset in found for part in dataset.get('datasets', [dataset])]


@pytest.fixture(scope='module')
def tree():
    """A small data set with a folder for every part: 7 images in 2 classes, and lists."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / 'splits').mkdir()
        rng = np.random.default_rng(0)
        for part in ('train', 'val', 'images'):
            for label, name in enumerate(('field', 'wood')):
                (root / part / name).mkdir(parents=True)
                for i in range(4 - label):
                    image = rng.integers(0, 256, (64, 70, 3), dtype=np.uint8) // (1 + label)
                    cv2.imwrite(str(root / part / name / f'{i}.png'), image)
        for name in ('train', 'test'):
            lines = [f'field/{i}.png 0\n' for i in range(4)] + \
                [f'wood/{i}.png 1\n' for i in range(3)]
            for share in (10, 20, 50, 80):
                (root / 'splits' / f'{name}_{share}.txt').write_text(''.join(lines))
        yield root


def on(tree, cfg):
    """The config on the small data set."""
    for dataset in datasets_of(cfg):
        dataset.data_root = str(tree)
    return cfg


def test_every_recipe_is_there():
    wanted = {str(leaf(*which).relative_to(FOLDER)) for which in (
        (backbone, protocol, name)
        for backbone in BACKBONES for protocol in PROTOCOLS for name in SETS)}
    assert wanted | {
        'resnet50_finetune_1xb16-amp-adan-200e_folder.py',
        'swin-base_finetune_1xb16-amp-adan-200e_folder.py',
        'resnet18_finetune_1xb32-adamw-10e_scenes.py',
        'resnet18_linear_1xb64-sgd-20e_scenes.py', 'resnet18_knn_scenes.py'} == set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_name_header_and_settings_agree(name):
    cfg = Config.fromfile(NAMES[name])
    stem = NAMES[name].stem
    if 'knn' in stem:
        assert 'train_dataloader' not in cfg and cfg.test_evaluator.type == 'WeightedKNN'
        return
    schedule = stem.split('_')[2]
    assert f'1xb{cfg.train_dataloader.batch_size}-' in schedule
    assert f'-{cfg.train_cfg.max_epochs}e' in schedule
    assert ('amp' in schedule) <= (cfg.optim_wrapper.precision == 'auto')
    assert f'-{cfg.optim_wrapper.optimizer.type.lower()}-' in schedule
    assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.batch_size
    assert cfg.model.head.num_classes == cfg.model.data_preprocessor.num_classes


@pytest.mark.parametrize('name', [key for key in NAMES if '/' in key])
def test_recipes_differ_in_their_data_only(name):
    """So one of them, trained below, speaks for all."""
    cfg = Config.fromfile(NAMES[name])
    backbone, protocol, *_, part = NAMES[name].stem.split('_')
    total, classes = SETS[part]
    key, share = part.split('-')
    first = Config.fromfile(leaf(backbone, protocol, 'ucm-80'))
    lists = [f'splits/train_{share}.txt', f'splits/test_{share}.txt']
    if protocol == 'knn':
        bank, query = cfg.test_dataloader.dataset.datasets
        assert [bank.ann_file, query.ann_file] == lists
        assert (bank.split, query.split) == ('bank', 'query')
    else:
        assert [cfg[loader].dataset.ann_file for loader in LOADERS] == [*lists, lists[1]]
        for config in (cfg, first):
            assert config.model.head.pop('num_classes') == len(
                config.train_dataloader.dataset.metainfo.classes)
            config.model.data_preprocessor.pop('num_classes')
    for config in (cfg, first):
        for dataset in datasets_of(config):
            if config is cfg:
                assert dataset.data_root == f'data/{key}'
                assert len(dataset.metainfo.classes) == classes
            for varies in ('data_root', 'ann_file', 'metainfo'):
                dataset.pop(varies)
    own = ('model', 'custom_hooks', 'optim_wrapper', 'param_scheduler', 'train_cfg',
           'test_evaluator', *LOADERS)
    for key in own:
        assert cfg.get(key) == first.get(key), key


def test_the_papers_recipe():
    cfg = Config.fromfile(leaf('swin-base', 'finetune', 'ucm-80'))
    assert cfg.optim_wrapper.optimizer == dict(
        type='Adan', lr=0.003125, betas=(0.98, 0.92, 0.99), weight_decay=0.02)
    assert (cfg.train_cfg.max_epochs, cfg.train_cfg.val_interval) == (200, 1)
    (schedule, ) = cfg.param_scheduler
    assert (schedule.warmup, schedule.warmup_factor, schedule.eta_min) == (5, 0.01, 1e-6)
    assert cfg.model.backbone.drop_path_rate == 0.5
    assert cfg.model.head.loss == dict(
        type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')
    assert [(augment.type, augment.alpha) for augment in cfg.model.train_cfg.augments] == [
        ('Mixup', 0.8), ('CutMix', 1.0)]
    assert cfg.default_hooks.checkpoint.save_best == 'auto'
    for protocol in ('linear', 'knn'):
        other = Config.fromfile(leaf('swin-base', protocol, 'ucm-80'))
        assert not other.model.backbone.get('drop_path_rate') or protocol == 'knn'
        assert other.model.get('train_cfg') is None


def test_colours_are_changed_as_bgr_and_leave_as_rgb():
    """A red image, made grey by RandAugment's weights, tells their order."""
    pipeline = Config.fromfile(leaf('resnet50', 'finetune', 'ucm-80')).train_pipeline
    position = [step['type'] for step in pipeline].index('RandAugment')
    assert pipeline[position - 2:position] == pipeline[position + 1:position + 3]
    grey = dict(type='ColorTransform', magnitude=0.9999, random_negative_prob=1., prob=1.)
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200

    def run(steps):
        results = dict(img=red.copy())
        for step in steps:
            results = TRANSFORMS.build(step)(results)
        return results['img']

    before, after = pipeline[position - 2:position], pipeline[position + 1:position + 3]
    assert np.array_equal(run([*before, *after]), red)
    # red has the weight 0.299; taken for blue it would have 0.114
    assert abs(int(run([*before, grey, *after])[0, 0, 1]) - round(0.299 * 200)) <= 1
    assert abs(int(run([grey])[0, 0, 1]) - round(0.114 * 200)) <= 1
    hparams = pipeline[position].hparams
    erasing = next(step for step in pipeline if step['type'] == 'RandomErasing')
    assert hparams.pad_val == [round(value) for value in erasing.fill_color[::-1]]


def shrunk(cfg, backbone):
    """Small pictures; transformers that take them."""
    cfg = small(cfg, divisor=4 if backbone != 'resnet18' else 2)
    if backbone == 'swin-base':
        cfg.model.backbone.pad_small_map = True
    return cfg


def shallow(cfg, backbone):
    """Of all channels but few layers: Adan's memory of all would take seconds to fill."""
    if backbone == 'swin-base':
        cfg.model.backbone.arch = dict(
            embed_dims=128, depths=[1, 1, 2, 1], num_heads=[4, 8, 16, 32])
    elif backbone == 'vit-base':
        cfg.model.backbone.arch = dict(
            embed_dims=768, num_layers=2, num_heads=12, feedforward_channels=3072)
    return cfg


TRAINED = [(backbone, leaf(backbone, protocol, 'ucm-80'))
           for backbone in BACKBONES for protocol in ('finetune', 'linear')]
TRAINED += [('resnet18', path) for key, path in NAMES.items()
            if key.startswith('resnet18') and 'knn' not in key]


@pytest.mark.parametrize('backbone, path', TRAINED, ids=lambda value: getattr(
    value, 'stem', value))
def test_takes_a_step_and_a_test(backbone, path, tree, tmp_path):
    cfg = shrunk(on(tree, load(path)), backbone)
    if backbone == 'resnet18':
        cfg.model.head.num_classes = cfg.model.data_preprocessor.num_classes = 2
    if 'finetune' in path.stem:
        cfg = shallow(cfg, backbone)
    losses, metrics, runner = train_and_test(cfg, tmp_path / 'work')
    assert 0 < losses['loss'] < 10
    assert 0 <= metrics['accuracy/top1'] <= 100
    trainable = {name for name, value in runner.model.named_parameters()
                 if value.requires_grad}
    if 'linear' in path.stem:
        assert trainable == {'head.fc.weight', 'head.fc.bias'}
        assert_frozen(runner.model)
    else:
        assert trainable == {name for name, _ in runner.model.named_parameters()}


def assert_frozen(model):
    """No running statistic moves and no path is dropped in a training pass."""
    images = torch.randn(2, 3, 64, 64)
    before = deepcopy(model.backbone.state_dict())
    with torch.no_grad():
        model.eval()
        tested = model.backbone(images)[-1]
        model.train()
        trained = model.backbone(images)[-1]
    assert torch.equal(tested, trained)
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize('backbone', BACKBONES)
def test_features_of_an_exported_backbone(backbone, tree, tmp_path):
    """The k-NN recipes build, load backbone.* alone and give pooled features."""
    cfg = shrunk(on(tree, load(leaf(backbone, 'knn', 'ucm-80'))), backbone)
    model = MODELS.build(cfg.model).eval()
    assert all(key.startswith('backbone.') for key in model.state_dict())
    batch = [DATASETS.build(cfg.test_dataloader.dataset)[i] for i in (0, 13)]
    data = dict(inputs=[sample['inputs'] for sample in batch],
                data_samples=[sample['data_samples'] for sample in batch])
    samples = model.test_step(data)
    assert [sample.split for sample in samples] == ['bank', 'query']
    assert [int(sample.gt_label) for sample in samples] == [0, 1]
    inputs = model.data_preprocessor(data)['inputs']
    with torch.no_grad():
        expected = model.backbone(inputs)[-1].mean((2, 3))
    torch.testing.assert_close(torch.stack([s.feature for s in samples]), expected)


def knn_config(tree, folder):
    cfg = small(on(tree, load(NAMES['resnet18_knn_scenes.py'])), divisor=2)
    cfg.work_dir = str(folder)
    cfg.test_evaluator.k = 3
    cfg.test_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    # as tools/test.py: nothing but the test is built
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
        cfg[key] = None
    return cfg


def exported(cfg, path, **changes):
    """A file of a random backbone, as exported."""
    torch.manual_seed(0)
    backbone = MODELS.build(dict(cfg.model.backbone, **changes))
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    torch.save(dict(state_dict=state, meta=dict(source='test')), path)
    return str(path)


def test_knn_is_what_the_vote_by_hand_gives(tree, tmp_path):
    cfg = knn_config(tree, tmp_path)
    cfg.load_from = exported(cfg, tmp_path / 'backbone.pth')
    cfg.experiment_name = tmp_path.name
    runner = RUNNERS.build(cfg)
    metrics = runner.test()
    dataset = runner.test_dataloader.dataset
    assert len(dataset) == 14
    with torch.no_grad():
        samples = [runner.model.test_step(
            dict(inputs=[item['inputs']], data_samples=[item['data_samples']]))[0]
            for item in (dataset[i] for i in range(14))]
    features = torch.stack([sample.feature for sample in samples])
    labels = torch.cat([sample.gt_label for sample in samples])
    assert [sample.split for sample in samples] == ['bank'] * 7 + ['query'] * 7
    ranking = weighted_knn(features[:7], labels[:7], features[7:], k=3)
    expected = 100 * (ranking[:, 0] == labels[7:]).float().mean().item()
    assert metrics['knn/top1'] == pytest.approx(expected)
    assert len(set(ranking[:, 0].tolist())) == 2, 'a vote that is always the same tells little'


def test_knn_refuses_another_backbone(tree, tmp_path):
    cfg = knn_config(tree, tmp_path)
    cfg.load_from = exported(cfg, tmp_path / 'backbone.pth', base_channels=16)
    cfg.experiment_name = tmp_path.name
    with pytest.raises(ValueError, match='does not belong to this ImageClassifier'):
        RUNNERS.build(cfg).test()


def test_nothing_is_trained_by_a_feature_head():
    head = MODELS.build(dict(type='FeatureHead'))
    assert not list(head.parameters())
    with pytest.raises(ValueError, match='tools/test.py CONFIG'):
        head.loss((torch.zeros(1, 2), ), [])


@pytest.mark.parametrize('change, message', [
    (dict(head=3, preprocessor=2), r'have 2 classes \(field, wood\).*'
     r'model.head.num_classes=3: .*--cfg-options model.head.num_classes=2$'),
    (dict(head=2, preprocessor=5), 'model.data_preprocessor.num_classes=5: '),
    (dict(head=2, preprocessor=2, val='images/wood'), 'train and val have other classes'),
])
def test_another_number_of_classes_is_refused_at_once(tree, tmp_path, change, message):
    cfg = small(on(tree, load(NAMES['resnet18_finetune_1xb32-adamw-10e_scenes.py'])), 2)
    cfg.model.head.num_classes = change['head']
    cfg.model.data_preprocessor.num_classes = change['preprocessor']
    if 'val' in change:
        cfg.val_dataloader.dataset.metainfo = dict(classes=('wood', 'field'))
    cfg.train_dataloader.batch_size = 2
    with pytest.raises(ValueError, match=message) as error:
        train_and_test(cfg, tmp_path)
    assert '\n' not in str(error.value)
    assert not list(tmp_path.rglob('*.pth'))


def score(rank, world, tree, folder):
    """Test the accuracy and the vote in one of several processes."""
    import cmid_mm  # noqa: F401
    torch.set_num_threads(1)
    if world > 1:
        torch.distributed.init_process_group(
            'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=world)
    results = {}
    for name in ('resnet18_knn_scenes.py', 'resnet18_finetune_1xb32-adamw-10e_scenes.py'):
        cfg = small(on(Path(tree), load(NAMES[name])), divisor=2)
        cfg.work_dir = f'{folder}/{world}'
        cfg.experiment_name = f'{Path(folder).name}-{world}-{rank}'
        cfg.test_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
        for key in ('train', 'val'):
            for part in ('dataloader', 'cfg', 'evaluator'):
                cfg[f'{key}_{part}'] = None
        cfg.optim_wrapper = cfg.param_scheduler = None
        # as many voters as images: one that counted twice would change the vote
        cfg.test_evaluator.update(dict(k=20) if 'knn' in name else dict(topk=(1, )))
        if 'knn' not in name:
            cfg.model.head.num_classes = cfg.model.data_preprocessor.num_classes = 2
        torch.manual_seed(0)
        cfg.randomness = dict(seed=0)
        cfg.default_scope = 'mmpretrain'
        runner = RUNNERS.build(cfg)
        seen = []
        metric = runner.test_evaluator.metrics[0]
        compute = metric.compute_metrics
        metric.compute_metrics = lambda found, compute=compute, seen=seen: (
            seen.append(len(found)), compute(found))[1]
        results.update(runner.test())
        results[f'{name} images'] = seen[0] if seen else None
    torch.save(results, f'{folder}/{world}-{rank}.pth')
    if world > 1:
        torch.distributed.destroy_process_group()


def test_two_processes_score_every_image_once(tree):
    """7 and 14 images: the first do not divide by two, so one is drawn twice."""
    with tempfile.TemporaryDirectory() as folder:
        score(0, 1, str(tree), folder)
        mp.spawn(score, (2, str(tree), folder), nprocs=2)
        alone, first, second = (torch.load(f'{folder}/{name}.pth', weights_only=True)
                                for name in ('1-0', '2-0', '2-1'))
    assert alone == first
    assert alone['resnet18_knn_scenes.py images'] == 14
    assert alone['resnet18_finetune_1xb32-adamw-10e_scenes.py images'] == 7
    # results are gathered by the first process, which tells the others
    assert {key: value for key, value in second.items() if 'images' not in key} == {
        key: value for key, value in first.items() if 'images' not in key}

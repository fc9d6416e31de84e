"""What the configs read, feed to the backbone and score."""
import multiprocessing.dummy
import re

import cv2
import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.registry import DATASETS, METRICS, MODELS, TRANSFORMS, init_default_scope
from small_configs import CONFIGS, build_runner, load, on_data, small, thin

from cmid_mm.evaluation.metrics.weighted_knn import weighted_knn

KNN = 'classification/resnet18_knn_scenes.py'
FINETUNE = 'classification/resnet18_finetune_1xb16-adamw-10e_scenes.py'
CHANGE = [str(path.relative_to(CONFIGS)) for key in ('cdd', 'levir-cd')
          for path in CONFIGS.glob(f'change_detection/**/*_r50_*_{key}.py')]
QUADS = 'oriented_detection/oriented-rcnn-le90_r50_fpn_1xb2-sgd-12e_folder.py'
TEXTS = 'oriented_detection/oriented-rcnn-le90_r50_fpn_1xb2-sgd-12e_text-folder.py'


def enter(scope):
    pytest.importorskip(scope)
    if scope == 'mmseg':
        pytest.importorskip('cmid_mm.models.segmentors')
    init_default_scope(scope)


# ---------------------------------------------------------------- classification


def test_colours_are_changed_as_bgr_and_leave_as_rgb():
    """A red image that RandAugment makes grey reveals the order of its weights."""
    pipeline = load('classification/ucm/resnet50_finetune_1xb16-amp-adan-200e_ucm-80.py'
                    ).train_pipeline
    position = [step.type for step in pipeline].index('RandAugment')
    swap = pipeline[position - 2:position]
    assert swap == pipeline[position + 1:position + 3]
    grey = dict(type='ColorTransform', magnitude=0.9999, random_negative_prob=1., prob=1.)

    def run(steps):
        results = dict(img=np.full((4, 4, 3), (200, 0, 0), np.uint8))
        for step in steps:
            results = TRANSFORMS.build(step)(results)
        return results['img']

    assert (run(swap + swap) == (200, 0, 0)).all()
    # red has the weight 0.299; taken for blue it would have 0.114
    assert abs(int(run([*swap, grey, *swap])[0, 0, 1]) - round(0.299 * 200)) <= 1
    assert abs(int(run([grey])[0, 0, 1]) - round(0.114 * 200)) <= 1
    erasing = next(step for step in pipeline if step.type == 'RandomErasing')
    assert pipeline[position].hparams.pad_val == [round(x) for x in erasing.fill_color[::-1]]


@pytest.mark.parametrize('backbone', ['resnet50', 'swin-base', 'vit-base'])
def test_knn_configs_load_a_backbone_alone_and_give_pooled_features(backbone, tmp_path):
    cfg = on_data(small(thin(load(f'classification/ucm/{backbone}_knn_ucm-80.py'))), tmp_path)
    model = MODELS.build(cfg.model).eval()
    assert all(key.startswith('backbone.') for key in model.state_dict())
    batch = [DATASETS.build(cfg.test_dataloader.dataset)[i] for i in (0, 3)]
    data = dict(inputs=[sample['inputs'] for sample in batch],
                data_samples=[sample['data_samples'] for sample in batch])
    samples = model.test_step(data)
    assert [sample.split for sample in samples] == ['gallery', 'query']
    assert [int(sample.gt_label) for sample in samples] == [0, 1]
    with torch.no_grad():
        expected = model.backbone(model.data_preprocessor(data)['inputs'])[-1].mean((2, 3))
    torch.testing.assert_close(torch.stack([s.feature for s in samples]), expected)


def only_test(cfg, k=None):
    """As tools/test.py: nothing but the test is built."""
    for part in ('train', 'val'):
        for key in ('dataloader', 'cfg', 'evaluator'):
            cfg[f'{part}_{key}'] = None
    cfg.optim_wrapper = cfg.param_scheduler = None
    if k:
        cfg.test_evaluator.k = k
    return cfg


def exported(cfg, path, **changes):
    """A file of a random backbone, as exported."""
    backbone = MODELS.build(dict(cfg.model.backbone, **changes))
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    torch.save(dict(state_dict=state, meta=dict(source='test')), path)
    return str(path)


def test_knn_is_the_vote_of_the_features(tmp_path):
    cfg = only_test(on_data(small(load(KNN)), tmp_path, counts=(4, 3)), k=1)
    cfg.load_from = exported(cfg, tmp_path / 'backbone.pth')
    runner = build_runner(cfg, tmp_path / 'work')
    metrics = runner.test()
    dataset = runner.test_dataloader.dataset
    with torch.no_grad():
        samples = [runner.model.test_step(
            dict(inputs=[item['inputs']], data_samples=[item['data_samples']]))[0]
            for item in (dataset[i] for i in range(len(dataset)))]
    features = torch.stack([sample.feature for sample in samples])
    labels = torch.cat([sample.gt_label for sample in samples])
    assert [sample.split for sample in samples] == ['gallery'] * 7 + ['query'] * 7
    ranking = weighted_knn(features[:7], labels[:7], features[7:], k=1)
    expected = 100 * (ranking[:, 0] == labels[7:]).float().mean().item()
    assert metrics['knn/top1'] == pytest.approx(expected)
    assert len(set(ranking[:, 0].tolist())) == 2, 'a constant vote proves little'


def test_knn_refuses_another_backbone(tmp_path):
    cfg = only_test(on_data(small(load(KNN)), tmp_path))
    cfg.load_from = exported(cfg, tmp_path / 'backbone.pth', base_channels=16)
    with pytest.raises(ValueError, match='ImageClassifier'):
        build_runner(cfg, tmp_path / 'work').test()


def test_nothing_is_trained_by_a_feature_head():
    head = MODELS.build(dict(type='FeatureHead'))
    assert not list(head.parameters())
    with pytest.raises(ValueError, match='tools/test.py CONFIG'):
        head.loss((torch.zeros(1, 2), ), [])


def score(rank, world, folder):
    """Test the accuracy and the vote in one of several processes."""
    torch.set_num_threads(1)
    if world > 1:
        torch.distributed.init_process_group(
            'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=world)
    results = {}
    for name in (KNN, FINETUNE):
        # as many voters as images: one that counted twice would change the vote
        cfg = only_test(on_data(small(load(name)), folder, counts=(4, 3)),
                           k=20 if name == KNN else None)
        if name == FINETUNE:
            cfg.model.head.num_classes = cfg.model.data_preprocessor.num_classes = 2
        cfg.randomness = dict(seed=0)
        runner = build_runner(cfg, f'{folder}/{world}-{rank}')
        metric, counts = runner.test_evaluator.metrics[0], []
        compute = metric.compute_metrics
        metric.compute_metrics = lambda found, compute=compute, counts=counts: (
            counts.append(len(found)), compute(found))[1]
        results.update(runner.test())
        # results are gathered and counted by the first process
        results[f'images {name}'] = counts[0] if rank == 0 else 14 if name == KNN else 7
    torch.save(results, f'{folder}/{world}-{rank}.pth')
    if world > 1:
        torch.distributed.destroy_process_group()


def test_two_processes_score_every_image_once(tmp_path):
    """7 and 14 images: the first do not divide by two, so one is drawn twice."""
    score(0, 1, str(tmp_path))
    mp.start_processes(score, (2, str(tmp_path)), nprocs=2, start_method='fork')
    alone, first, second = (torch.load(tmp_path / f'{name}.pth', weights_only=True)
                            for name in ('1-0', '2-0', '2-1'))
    assert alone == first == second
    assert alone[f'images {KNN}'] == 14 and alone[f'images {FINETUNE}'] == 7


# ---------------------------------------------------------------- segmentation and change


@pytest.mark.parametrize('name', ['potsdam', 'vaihingen'])
def test_five_classes_are_trained_and_scored(name, tmp_path):
    enter('mmseg')
    cfg = on_data(small(load(f'segmentation/upernet_r50_1xb8-amp-sgd-50e_{name}.py')), tmp_path)
    train, test = (DATASETS.build(cfg[f'{part}_dataloader'].dataset)
                   for part in ('train', 'test'))
    sample = test[0]
    label = sample['data_samples'].gt_sem_seg.data[0, 0]
    # the stripes are boundary, the five classes, clutter
    assert torch.unique_consecutive(label).tolist() == [255, 0, 1, 2, 3, 4, 255]
    image = cv2.imread(str(tmp_path / 'img_dir/val/one.png'))[..., ::-1]
    assert np.array_equal(sample['inputs'].numpy(), image.transpose(2, 0, 1)), 'RGB'
    trained = torch.cat([train[i % 2]['data_samples'].gt_sem_seg.data.unique()
                         for i in range(20)]).unique()
    assert trained.tolist() == [0, 1, 2, 3, 4, 255]


@pytest.mark.parametrize('name', CHANGE)
def test_masks_are_read_as_two_classes_and_images_as_rgb(name, tmp_path):
    enter('opencd' if 'opencd' in name else 'mmseg')
    cfg = on_data(load(name), tmp_path)
    sample = DATASETS.build(cfg.test_dataloader.dataset)[0]
    label = sample['data_samples'].gt_sem_seg.data[0, 0]
    assert torch.unique_consecutive(label).tolist() == [0, 1]
    # what the backbone receives: RGB of A, then of B
    inputs = MODELS.build(cfg.model.data_preprocessor)(
        dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']]))['inputs'][0]
    ending = cfg.test_dataloader.dataset.get('img_suffix', '.png')
    mean, std = (torch.tensor(cfg.model.data_preprocessor[key][:3])[:, None, None]
                 for key in ('mean', 'std'))
    for date, bands in (('A', inputs[:3]), ('B', inputs[3:])):
        image = cv2.imread(str(tmp_path / 'test' / date / f'one{ending}'))[..., ::-1]
        wanted = torch.from_numpy(image.copy()).permute(2, 0, 1)
        torch.testing.assert_close(
            bands * std + mean, wanted.float(), atol=2.5 if ending == '.jpg' else 1e-3,
            rtol=0)


def test_the_network_of_open_cd_is_that_of_mmseg_alone():
    """Same parts, so weights of one fit the other and give the same logits."""
    models = []
    for scope, name in (('mmseg', 'siamese-upernet_r50_1xb8-sgd-200e_cdd.py'),
                        ('opencd', 'opencd/siam-upernet_r50_1xb8-sgd-200e_cdd.py')):
        enter('mmseg')
        enter(scope)
        models.append(MODELS.build(thin(load(f'change_detection/{name}')).model).eval())
    models[1].load_state_dict(models[0].state_dict())
    inputs = torch.randn(1, 6, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(models[0](inputs), models[1](inputs))


# ---------------------------------------------------------------- detection


def test_images_arrive_as_rgb_in_a_detector(tmp_path):
    """A red image stays red up to the preprocessor, which must not swap the channels."""
    enter('mmdet')
    cfg = on_data(load('detection/faster-rcnn_r50_fpn_1xb2-sgd-12e_folder.py'), tmp_path)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    red = np.full((64, 64, 3), (0, 0, 255), np.uint8)
    assert cv2.imwrite(dataset.get_data_info(0)['img_path'], red)
    sample = dataset[0]
    assert sample['inputs'].flatten(1).float().mean(1).tolist() == [255, 0, 0]
    out = MODELS.build(dict(cfg.model.data_preprocessor))(
        dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']]))
    wanted = (255 - 86.182) / 34.655
    assert out['inputs'][0, 0].mean().item() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize('name', [QUADS, TEXTS], ids=['coco', 'text'])
def test_a_tilted_quadrilateral_arrives_as_the_same_box(name, tmp_path):
    """A rectangle of 30 x 12, turned by 30 degrees, in the image of twice the size."""
    enter('mmrotate')
    dataset = on_data(load(name), tmp_path).train_dataloader.dataset
    turn = np.deg2rad(30)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    quad = (32 + np.array([(-15, -6), (15, -6), (15, 6), (-15, 6)]) @ axes).ravel().tolist()
    info = DATASETS.build(dict(dataset, pipeline=[])).get_data_info(0)
    info['instances'][0].update(dict(mask=[quad]) if name == QUADS else dict(bbox=quad))
    # without the flip, whose outcome is random
    for step in (step for step in dataset.pipeline if 'Flip' not in step.type):
        if 'Resize' in step.type:
            step.scale = (128, 128)
        info = TRANSFORMS.build(step)(info)
    boxes = info['data_samples'].gt_instances.bboxes.regularize_boxes('le90')
    assert boxes[0].tolist() == pytest.approx([64, 64, 60, 24, turn], abs=1e-2)


@pytest.mark.parametrize('name', [QUADS, TEXTS], ids=['coco', 'text'])
def test_the_metric_weighs_place_and_angle(name, tmp_path, monkeypatch):
    """Boxes of 30 x 20, 6 pixels aside: 480 of 720 shared; turned too: 380 of 820."""
    enter('mmrotate')
    # the metric starts four processes, each of which imports everything
    monkeypatch.setattr('mmrotate.evaluation.functional.mean_ap.get_context',
                        lambda _: multiprocessing.dummy)
    cfg = on_data(load(name), tmp_path)
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
    scores = []
    for turn, shift in ((0, 0), (0, 6), (np.pi / 2, 6)):
        metric = METRICS.build(cfg.val_evaluator)
        metric.dataset_meta = dataset.metainfo
        for sample in samples:
            truth = sample.gt_instances
            boxes = truth.bboxes.tensor + torch.tensor([shift, 0, 0, 0, turn])
            metric.process({}, [dict(
                sample.to_dict(),
                gt_instances=dict(bboxes=truth.bboxes.tensor, labels=truth.labels),
                ignored_instances=dict(bboxes=boxes[:0], labels=truth.labels[:0]),
                pred_instances=dict(bboxes=boxes, labels=truth.labels,
                                    scores=torch.ones(len(boxes))))])
        results = metric.evaluate(len(dataset))
        scores.append(next(value for key, value in results.items()
                           if re.search('AP50|mAP_50', key)))
    assert scores == pytest.approx([1, 1, 0], abs=1e-3)


# ---------------------------------------------------------------- rasters as they are


def test_the_page_on_rasters_trains_on_potsdam_as_downloaded(tmp_path):
    """The config of docs/rasters.md, on tiles with the names and colours of the download."""
    pytest.importorskip('mmseg')
    import rasterio
    from mmengine.config import Config
    enter('mmseg')
    page = (CONFIGS.parent / 'docs/rasters.md').read_text()
    code = re.search(r'```python\n(# Potsdam as .*?)```', page, re.S)[1]
    file = tmp_path / 'potsdam.py'
    file.write_text(code.replace("'upernet_r50", f"'{CONFIGS}/segmentation/upernet_r50"))
    cfg = Config.fromfile(file)
    colours = np.array([value for value, _ in cfg.scenes['values']], np.uint8)
    labels = np.random.default_rng(0).integers(0, 7, (100, 120))
    for name in (*cfg.train_names, *cfg.test_names):
        for folder, pattern, pixels in (
                ('2_Ortho_RGB', f'top_potsdam_{name}_RGB.tif', np.stack([labels] * 3, 2)),
                ('5_Labels_all_noBoundary', f'top_potsdam_{name}_label_noBoundary.tif',
                 colours[labels])):
            (tmp_path / 'data' / folder).mkdir(parents=True, exist_ok=True)
            with rasterio.open(tmp_path / 'data' / folder / pattern, 'w', driver='GTiff',
                               width=120, height=100, count=3, dtype='uint8') as raster:
                raster.write(pixels.astype(np.uint8).transpose(2, 0, 1))
    counts = np.zeros(256, int)
    for part, names in (('train', cfg.train_names), ('test', cfg.test_names)):
        settings = cfg[f'{part}_dataloader'].dataset
        settings.update(data_root=str(tmp_path / 'data'), window=64, overlap=16)
        dataset = DATASETS.build(settings)
        assert len(dataset) == len(names) * 6
    for sample in dataset:
        counts += np.bincount(sample['data_samples'].gt_sem_seg.data.numpy().ravel(),
                              minlength=256)
    expected = len(names) * np.bincount(labels.ravel())
    assert counts[:5].tolist() == expected[:5].tolist()

# Any folder tree of JPEG, PNG or TIFF images; pre-training uses no labels.
train_pipeline = [
    # Large JPEGs are decoded at 1/2, 1/4 or 1/8 of their size where that leaves their shorter
    # side s at least 473 px, so that no crop has to be enlarged to a view because of it. With
    # at least 0.3 of the area H W and a ratio from 3/4 to 4/3, the shorter side of a crop is
    # at least sqrt(0.3 * 3/4 * H W), and H W >= s^2 with equality for square images: at least
    # 0.474 s, which is 224 px for s = 473. (The central crop, where none fits, has the side
    # s.) Other views: size / sqrt(lowest area * lowest ratio), rounded up.
    dict(type='LoadRSImage', bands=3, shortest_side=473),
    dict(type='CMIDTwoViews', size=224),
    dict(type='PackViews'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='KeyedSampler', shuffle=True),
    # a few broken images do not end a training; BrokenImagesHook counts and names them
    dataset=dict(
        type='ImageFolder',
        data_root='data/images',
        replace_broken=True,
        pipeline=train_pipeline))

# `tools/test.py` reports the accuracy of a weighted k-NN vote on a folder whose first
# level names the classes: every fifth image of a class is a query, the rest form the gallery
test_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(type='ResizeEdge', scale=256, edge='short'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path', 'split')),
]
labelled_folder = dict(
    type='ImageFolder', data_root='data/ucm/images', with_label=True, pipeline=test_pipeline)
test_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='pseudo_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ConcatDataset',
        datasets=[dict(labelled_folder, split=split) for split in ('gallery', 'query')]))
test_evaluator = dict(type='WeightedKNN', k=20)
# evaluated by ProbeHook during training and by `tools/test.py --probes` afterwards
probe_evaluator = [
    dict(metric, feature=f'{encoder}_feature', prefix=f'{encoder}_{name}')
    for encoder in ('student', 'teacher')
    for name, metric in dict(
        knn=dict(type='WeightedKNN', k=20), linear=dict(type='LinearProbe')).items()
]
# With place_folder.data_root set, a linear layer on the cells of the frozen maps is probed too,
# on images and masks of the same names: whole images, resized to a multiple of the stride.
place_folder = dict(
    type='MaskFolder',
    data_root='',
    metainfo=dict(classes=()),
    pipeline=[
        dict(type='LoadRSImage', bands=3),
        dict(type='LoadMask'),
        dict(type='Resize', scale=(448, 448)),
        dict(type='PackInputs', algorithm_keys=('gt_seg_map', ), meta_keys=('img_path', )),
    ])
place_evaluator = [
    dict(type='PlaceProbe', feature=f'{encoder}_map', prefix=f'{encoder}_places')
    for encoder in ('student', 'teacher')
]
test_cfg = dict()

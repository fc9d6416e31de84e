# Weighted k-NN (arXiv 1805.01978) on frozen features: the training images form the gallery,
# the test images are the queries. Nothing is trained.
test_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(
        type='ResizeEdge', scale=256, edge='short', backend='pillow',
        interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path', 'split')),
]
# the config adds the two data sets
test_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset'))
test_evaluator = dict(type='WeightedKNN', k=20)
test_cfg = dict()
val_dataloader = test_dataloader
val_evaluator = test_evaluator
val_cfg = dict()

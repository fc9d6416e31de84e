# Linear probe after MAE (arXiv 2111.06377, appendix A.2): batch norm without weights
# before the linear layer, crops and flips only, no weight decay, 90 epochs, cosine with 10
# epochs of warm-up. SGD takes the place of LARS, which is for batches of thousands.
train_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(
        type='ResizeEdge', scale=256, edge='short', backend='pillow',
        interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ImageFolder', with_label=True, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageFolder', with_label=True, pipeline=test_pipeline))
val_evaluator = dict(type='Accuracy', topk=(1, ))
test_dataloader = val_dataloader
test_evaluator = val_evaluator

optim_wrapper = dict(
    type='AutoPrecisionOptimWrapper',
    precision='auto',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.))
auto_scale_lr = dict(base_batch_size=64)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=90, val_interval=1)
val_cfg = dict()
test_cfg = dict()
param_scheduler = [
    dict(
        type='CMIDCosineLR',
        warmup=10,
        warmup_factor=0.01,
        eta_min=0.,
        by_epoch=True,
        convert_to_iter_based=True)
]

# Linear probe after MAE (arXiv 2111.06377, appendix A.2): batch norm without affine parameters
# before the linear layer, crops and flips only, no weight decay, 90 epochs, cosine schedule
# with 10 epochs of warm-up. SGD replaces LARS, which is meant for batches of thousands.
_base_ = './supervised.py'

train_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    type='AutoPrecisionOptimWrapper',
    precision='auto',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.))
auto_scale_lr = dict(base_batch_size=64)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=90, val_interval=1)
param_scheduler = [
    dict(
        type='CMIDCosineLR',
        warmup=10,
        warmup_factor=0.01,
        eta_min=0.,
        by_epoch=True,
        convert_to_iter_based=True)
]

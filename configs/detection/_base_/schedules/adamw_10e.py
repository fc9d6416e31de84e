# A short training of the small student on generated scenes.
_base_ = './adamw_12e.py'

train_cfg = dict(max_epochs=10, val_interval=10)
# a pre-trained backbone loses at the rate of the heads what it has learned
optim_wrapper = dict(
    constructor='LayerDecayOptimWrapperConstructor', optimizer=dict(lr=2e-3),
    paramwise_cfg=dict(backbone_lr_mult=0.1))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=10, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=4)

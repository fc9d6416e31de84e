# A short training of the small student on generated scenes.
_base_ = './adamw_50e.py'

# a pre-trained backbone loses at the rate of the heads what it has learned
optim_wrapper = dict(
    constructor='LayerDecayOptimWrapperConstructor', optimizer=dict(lr=3e-3),
    paramwise_cfg=dict(backbone_lr_mult=0.1))
train_cfg = dict(max_epochs=10)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, end=1, by_epoch=True, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        T_max=10,
        begin=0,
        end=10,
        by_epoch=True,
        convert_to_iter_based=True)
]

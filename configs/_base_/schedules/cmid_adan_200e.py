# 4e-3 at a batch of 256 images; another batch scales the rate (`rule='sqrt'` is what the
# authors advise elsewhere)
optim_wrapper = dict(
    type='AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='TwoGroupOptimWrapperConstructor',
    optimizer=dict(type='Adan', lr=4e-3, betas=(0.98, 0.92, 0.99), weight_decay=0.02))
auto_scale_lr = dict(base_batch_size=256, enable=True, rule='linear')

train_cfg = dict(type='ResumableTrainLoop', max_epochs=200)
param_scheduler = [
    dict(
        type='CMIDCosineLR',
        warmup=10,
        warmup_factor=0.01,
        eta_min=1e-6,
        by_epoch=True,
        convert_to_iter_based=True)
]

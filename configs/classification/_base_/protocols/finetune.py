# Fine-tuning as in the paper's UC Merced run (arXiv 2304.09670): 200 epochs, batch 16, Adan,
# timm's rand-m9-mstd0.5-inc1, random erasing; the model applies mixup and cutmix. The rate
# is for a batch of 16; --auto-scale-lr adapts it to another one.
_base_ = './supervised.py'

mean, std = [86.182, 91.928, 85.374], [34.655, 34.476, 35.879]

# LoadRSImage returns RGB; mmcv's colour transforms assume BGR
swap_colours = [dict(type='NumpyToPIL', to_rgb=True), dict(type='PILToNumpy')]
train_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(type='RandomResizedCrop', scale=224, backend='pillow', interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    *swap_colours,
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[round(x) for x in mean[::-1]], interpolation='bicubic')),
    *swap_colours,
    # after normalisation this is noise of mean 0 and standard deviation 1
    dict(
        type='RandomErasing',
        erase_prob=0.25,
        mode='rand',
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=mean,
        fill_std=std),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    type='AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='TwoGroupOptimWrapperConstructor',
    optimizer=dict(
        type='Adan', lr=0.003125, betas=(0.98, 0.92, 0.99), weight_decay=0.02))
auto_scale_lr = dict(base_batch_size=16)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200, val_interval=1)
param_scheduler = [
    dict(
        type='CMIDCosineLR',
        warmup=5,
        warmup_factor=0.01,
        eta_min=1e-6,
        by_epoch=True,
        convert_to_iter_based=True)
]

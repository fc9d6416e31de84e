# Linear probe of a frozen small student on generated scenes, for a first try on a CPU.
# 1 process x 64 images = 64.
#
#   python tools/generate_scenes.py data/scenes --size 128 --tasks classification
#   python tools/train.py \
#       configs/classification/resnet18_linear_1xb64-sgd-20e_scenes.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/resnet18_linear.py', './_base_/protocols/linear.py',
    './_base_/default_runtime.py'
]

train_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(type='RandomResizedCrop', scale=128, crop_ratio_range=(0.5, 1.0)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(type='ResizeEdge', scale=128, edge='short'),
    dict(type='CenterCrop', crop_size=128),
    dict(type='PackInputs'),
]
scenes = dict(type='ImageFolder', data_root='data/scenes/classification', with_label=True)
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(scenes, data_prefix='train', pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=2, dataset=dict(scenes, data_prefix='val', pipeline=test_pipeline))
test_dataloader = val_dataloader

model = dict(
    head=dict(num_classes=12), data_preprocessor=dict(num_classes=12))
default_hooks = dict(logger=dict(interval=10))

train_cfg = dict(max_epochs=20)
param_scheduler = [
    dict(
        type='CMIDCosineLR',
        warmup=1,
        eta_min=0.,
        by_epoch=True,
        convert_to_iter_based=True)
]

# A small student on generated scenes of 128 pixels: a minute on two CPU cores, to try all parts.
#
#   python tools/generate_scenes.py data/scenes --num 500 --size 128
_base_ = [
    './_base_/models/upernet_r50.py', './_base_/datasets/mask_folder.py',
    './_base_/schedules/adamw_10e.py', './_base_/default_runtime.py'
]

# SEGMENTATION_CLASSES and SEGMENTATION_PALETTE of cmid_mm.datasets.scenes
classes = ('bare', 'grass', 'field', 'wood', 'water', 'road', 'building', 'vehicle')
palette = [(190, 160, 120), (150, 210, 110), (235, 220, 80), (20, 110, 40), (40, 110, 220),
           (140, 140, 140), (220, 60, 50), (250, 0, 250)]

model = dict(
    data_preprocessor=dict(size=(128, 128)),
    # the student of configs/cmid/cmid_resnet18_toy.py
    backbone=dict(depth=18, stem_channels=32, base_channels=32, strides=(1, 2, 1, 1)),
    decode_head=dict(
        in_channels=[32, 64, 128, 256], channels=32, num_classes=len(classes),
        # without weights, classes with 4 % of the pixels are not predicted after ten epochs
        loss_decode=dict(_delete_=True, type='ClassWeightedCrossEntropy')),
    auxiliary_head=dict(
        in_channels=128, channels=32, num_classes=len(classes),
        loss_decode=dict(_delete_=True, type='ClassWeightedCrossEntropy', loss_weight=0.4)))

train_pipeline = [
    dict(type='mmpretrain.LoadRSImage', bands=3),
    dict(type='mmpretrain.LoadMask'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
dataset = dict(
    data_root='data/scenes/segmentation', metainfo=dict(classes=classes, palette=palette))
train_dataloader = dict(
    batch_size=8, num_workers=2, dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(batch_size=16, num_workers=2, dataset=dataset)
test_dataloader = val_dataloader

default_hooks = dict(logger=dict(interval=10))

# A small student on generated pairs of 128 pixels: a minute or two on two CPU cores, to try all
# parts.
#
#   python tools/generate_scenes.py data/scenes --num 500 --size 128
_base_ = [
    './_base_/models/siamese-upernet_r50.py', './_base_/datasets/pairs_256.py',
    '../segmentation/_base_/schedules/adamw_10e.py', './_base_/default_runtime.py'
]

model = dict(
    # the student of configs/cmid/cmid_resnet18_toy.py
    backbone=dict(depth=18, stem_channels=32, base_channels=32, strides=(1, 2, 1, 1)),
    decode_head=dict(
        in_channels=[32, 64, 128, 256],
        channels=32,
        # an eighth of the pixels has changed; with equal weights a short training finds none
        loss_decode=dict(
            _delete_=True, type='ClassWeightedCrossEntropy', class_weight=[1.0, 4.0])),
    auxiliary_head=dict(in_channels=128, channels=32))

dataset = dict(data_root='data/scenes/change')
train_dataloader = dict(batch_size=8, num_workers=2, dataset=dataset)
val_dataloader = dict(batch_size=16, num_workers=2, dataset=dataset)
val_files = dict(img_path='val/A', img_path2='val/B', seg_map_path='val/label')
test_dataloader = dict(
    batch_size=16, num_workers=2, dataset=dict(dataset, data_prefix=val_files))

default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=5))

# A small student on generated pairs of 128 pixels: a minute or two on two CPU cores, to see
# all parts work.
#
#   python tools/generate_scenes.py data/scenes --num 500 --size 128
#   python tools/train.py \
#       configs/change_detection/resnet18_siamese-upernet_1xb16-adamw-10e_scenes.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/siamese_upernet_resnet50.py',
    './_base_/datasets/pairs_256.py',
    './_base_/schedules/adamw_200e.py',
    './_base_/default_runtime.py',
]

model = dict(
    # the student of configs/cmid/cmid_resnet18_toy.py
    backbone=dict(depth=18, stem_channels=32, base_channels=32),
    decode_head=dict(
        in_channels=[32, 64, 128, 256],
        channels=32,
        # an eighth of the pixels has changed: alike, a short training finds none of them
        loss_decode=dict(class_weight=[1.0, 4.0])),
    auxiliary_head=dict(in_channels=128, channels=32))

dataset = dict(data_root='data/scenes/change')
val_files = dict(
    data_prefix=dict(img_path='val/A', img_path2='val/B', seg_map_path='val/label'))
train_dataloader = dict(batch_size=16, num_workers=2, dataset=dataset)
val_dataloader = dict(batch_size=16, num_workers=2, dataset=dataset)
test_dataloader = dict(batch_size=16, num_workers=2, dataset=dict(**dataset, **val_files))

optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=10, val_interval=5)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=25),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        T_max=10,
        begin=0,
        end=10,
        by_epoch=True,
        convert_to_iter_based=True)
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=5))

# A small student on generated pairs of 128 pixels, with open-cd: a minute or two on two CPU
# cores, to see all parts work.
#
#   python tools/generate_scenes.py data/scenes --num 500 --size 128
#   python tools/train.py \
#       configs/change_detection/opencd/resnet18_bit_1xb16-adamw-10e_scenes.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/bit_resnet50.py',
    './_base_/datasets/levir_cd.py',
    './_base_/schedules/adamw_200e.py',
    './_base_/default_runtime.py',
]

model = dict(
    # the student of configs/cmid/cmid_resnet18_toy.py, up to stage 2: of 128 pixels its map
    # (stride 8) is as wide as stage 3's of 256
    backbone=dict(
        depth=18,
        stem_channels=32,
        base_channels=32,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=(1, )),
    decode_head=dict(
        in_channels=64,
        pre_upsample=1,
        dec_depth=2,
        # an eighth of the pixels has changed: alike, a short training finds none of them
        loss_decode=dict(class_weight=[1.0, 4.0])))

dataset = dict(data_root='data/scenes/change')
val_files = dict(
    data_prefix=dict(
        img_path_from='val/A', img_path_to='val/B', seg_map_path='val/label'))
train_dataloader = dict(batch_size=16, num_workers=2, dataset=dataset)
val_dataloader = dict(num_workers=2, dataset=dataset)
test_dataloader = dict(num_workers=2, dataset=dict(**dataset, **val_files))

optim_wrapper = dict(optimizer=dict(lr=2e-3))
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

# A small student on generated pairs of 128 pixels, with open-cd: a minute or two on two CPU
# cores, to try all parts.
#
#   python tools/generate_scenes.py data/scenes --num 500 --size 128
_base_ = [
    './_base_/models/bit_r50.py', './_base_/datasets/levir_cd.py',
    '../../segmentation/_base_/schedules/adamw_10e.py', './_base_/default_runtime.py'
]

# for the loss
custom_imports = dict(
    imports=['cmid_mm', 'cmid_mm.models.segmentors'], allow_failed_imports=False)

model = dict(
    # the student of configs/cmid/cmid_resnet18_toy.py up to stage 2, whose map (stride 8) of
    # an image of 128 pixels is as wide as that of stage 3 of 256
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
        # an eighth of the pixels has changed; with equal weights a short training finds none
        loss_decode=dict(
            _delete_=True, type='mmseg.ClassWeightedCrossEntropy', class_weight=[1.0, 4.0])))

dataset = dict(data_root='data/scenes/change')
train_dataloader = dict(batch_size=16, num_workers=2, dataset=dataset)
val_dataloader = dict(num_workers=2, dataset=dataset)
val_files = dict(img_path_from='val/A', img_path_to='val/B', seg_map_path='val/label')
test_dataloader = dict(num_workers=2, dataset=dict(dataset, data_prefix=val_files))

optim_wrapper = dict(
    optimizer=dict(lr=2e-3),
    paramwise_cfg=dict(
        custom_keys=dict(
            _delete_=True, relative_position_bias_table=dict(decay_mult=0.0))))
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=5))

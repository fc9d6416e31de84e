# A small student on generated scenes of 128 pixels: a minute on two CPU cores, to see all
# parts work. The metric to look at is mAP_50: the objects are 11 pixels large.
#
#   python tools/generate_scenes.py data/scenes --num 500 --size 128
#   python tools/train.py configs/detection/resnet18_faster-rcnn-fpn_1xb8-adamw-10e_scenes.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/faster-rcnn_resnet50_fpn.py',
    './_base_/datasets/coco_boxes.py',
    './_base_/schedules/adamw_12e.py',
    './_base_/default_runtime.py',
]

data_root = 'data/scenes/detection/'
classes = ('vehicle', 'ship', 'plane', 'storage_tank', 'building')

model = dict(
    # the student of configs/cmid/cmid_resnet18_toy.py
    backbone=dict(
        depth=18, stem_channels=32, base_channels=32, frozen_stages=-1, norm_eval=False),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, num_outs=4),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[3], strides=[4, 8, 16, 32])),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=dict(output_size=5, sampling_ratio=1),
            out_channels=64,
            # boxes below 32 pixels take their features from stride 4
            finest_scale=16),
        bbox_head=dict(
            in_channels=64,
            fc_out_channels=128,
            roi_feat_size=5,
            num_classes=len(classes))),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(pos_iou_thr=0.5),
            sampler=dict(num=128)),
        rpn_proposal=dict(nms_pre=300, max_per_img=150),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(
        rpn=dict(nms_pre=300, max_per_img=150),
        rcnn=dict(max_per_img=100)))

train_pipeline = [
    dict(type='mmpretrain.LoadRSImage', bands=3),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(
        type='RandomFlip', prob=0.75, direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmpretrain.LoadRSImage', bands=3),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
                   'instances')),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        data_root=data_root, metainfo=dict(classes=classes), pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        data_root=data_root, metainfo=dict(classes=classes), pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=10, val_interval=10)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', by_epoch=True, T_max=10, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(logger=dict(interval=20))

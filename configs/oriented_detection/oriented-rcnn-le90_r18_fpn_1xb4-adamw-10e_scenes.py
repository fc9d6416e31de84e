# A small student on generated scenes of 128 pixels with oriented boxes, to try all parts on
# two CPU cores.
#
#   python tools/generate_scenes.py data/scenes --num 500 --size 128
_base_ = [
    './_base_/models/oriented-rcnn-le90_r50_fpn.py', './_base_/datasets/coco_quads.py',
    '../detection/_base_/schedules/adamw_10e.py', './_base_/default_runtime.py'
]

classes = ('vehicle', 'ship', 'plane', 'storage_tank', 'building')

model = dict(
    # the student of configs/cmid/cmid_resnet18_toy.py, also in its strides
    backbone=dict(
        depth=18, stem_channels=32, base_channels=32, strides=(1, 2, 1, 1), frozen_stages=-1,
        norm_eval=False),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64, num_outs=4),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[3], strides=[4, 8, 8, 8], base_sizes=[4, 8, 16, 32])),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=dict(out_size=5, sample_num=1),
            featmap_strides=[4, 8, 8, 8],
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
            sampler=dict(num=128),
            # with 0, half of the anchors of so small an image would be dropped, since they
            # cross its border
            allowed_border=-1),
        rpn_proposal=dict(nms_pre=300, max_per_img=150),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(
        rpn=dict(nms_pre=300, max_per_img=150),
        rcnn=dict(max_per_img=100)))

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[3].scale = test_pipeline[1].scale = (128, 128)
dataset = dict(data_root='data/scenes/detection/', metainfo=dict(classes=classes))
train_dataloader = dict(
    batch_size=4, num_workers=1, dataset=dict(dataset, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8, num_workers=1, dataset=dict(dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader

default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(save_best='r_coco/bbox_mAP'))

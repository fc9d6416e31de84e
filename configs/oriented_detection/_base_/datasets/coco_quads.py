# Oriented quadrilaterals in the `segmentation` of COCO json files, images of at most 1024
# pixels per side.
_base_ = '../../../detection/_base_/datasets/coco_boxes.py'

train_pipeline = [
    dict(type='mmpretrain.LoadRSImage', bands=3),
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=False),
    dict(type='ConvertMask2BoxType', box_type='rbox'),
    dict(type='mmdet.Resize', scale=(1024, 1024), keep_ratio=True),
    dict(
        type='mmdet.RandomFlip',
        prob=0.75,
        direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='mmdet.PackDetInputs'),
]
test_pipeline = [
    dict(type='mmpretrain.LoadRSImage', bands=3),
    dict(type='mmdet.Resize', scale=(1024, 1024), keep_ratio=True),
    # after the resizing: the metric compares in pixels of the original image
    dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=False),
    # the metric expects four corners, the model a centre, sides and an angle
    dict(type='ConvertMask2BoxType', box_type='qbox'),
    dict(type='ConvertBoxType', box_type_mapping=dict(gt_bboxes='rbox')),
    dict(
        type='mmdet.PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
                   'instances')),
]
train_dataloader = dict(dataset=dict(oriented=True, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(oriented=True, pipeline=test_pipeline))
test_dataloader = val_dataloader

# COCO's average precision with the overlap of oriented boxes
val_evaluator = dict(type='RotatedCocoMetric')
test_evaluator = val_evaluator

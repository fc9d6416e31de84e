# mmdet's Faster R-CNN (arXiv 1506.01497, 1612.03144) for aerial images. A config sets
# num_classes.
_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'

model = dict(
    # MillionAID's, as in pre-training; LoadRSImage returns RGB, 0 to 255
    data_preprocessor=dict(
        mean=[86.182, 91.928, 85.374], std=[34.655, 34.476, 35.879], bgr_to_rgb=False),
    backbone=dict(init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    roi_head=dict(bbox_head=dict(num_classes=15)),
    # aerial tiles contain hundreds of vehicles, more than COCO's limits allow
    train_cfg=dict(rpn_proposal=dict(max_per_img=2000)),
    test_cfg=dict(
        rpn=dict(nms_pre=2000, max_per_img=2000),
        rcnn=dict(max_per_img=1000)))

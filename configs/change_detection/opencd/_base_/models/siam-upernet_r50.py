# The network of ../../../_base_/models/siamese-upernet_r50.py, built from open-cd's parts.
_base_ = '../../../../segmentation/_base_/models/upernet_r50.py'

model = dict(
    type='SiamEncoderDecoder',
    data_preprocessor=dict(
        _delete_=True,
        type='DualInputSegDataPreProcessor',
        # RGB of both dates, although open-cd reads BGR; MillionAID's statistics
        mean=[86.182, 91.928, 85.374] * 2,
        std=[34.655, 34.476, 35.879] * 2,
        bgr_to_rgb=True,
        size_divisor=32,
        pad_val=0,
        seg_pad_val=255,
        test_cfg=dict(size_divisor=32)),
    backbone=dict(type='mmseg.ResNet'),
    neck=dict(type='FeatureFusionNeck', policy='abs_diff', out_indices=(0, 1, 2, 3)),
    decode_head=dict(
        type='mmseg.UPerHead',
        num_classes=2,
        loss_decode=dict(_delete_=True, type='mmseg.CrossEntropyLoss', loss_weight=1.0)),
    auxiliary_head=dict(
        type='mmseg.FCNHead',
        num_classes=2,
        loss_decode=dict(_delete_=True, type='mmseg.CrossEntropyLoss', loss_weight=0.4)))

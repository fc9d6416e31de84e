# One backbone sees both dates; UPerNet, with an auxiliary head on stage 3, decodes the
# absolute difference of its maps. BN, not SyncBN: the recipes have one process; with more,
# `sync_bn='torch'` at the top level makes it SyncBN.
norm_cfg = dict(type='BN', requires_grad=True)

model = dict(
    type='SiamEncoderDecoder',
    data_preprocessor=dict(
        type='DualInputSegDataPreProcessor',
        # in the order RGB, of either date; MillionAID's statistics
        mean=[86.182, 91.928, 85.374] * 2,
        std=[34.655, 34.476, 35.879] * 2,
        # open-cd reads BGR
        bgr_to_rgb=True,
        size_divisor=32,
        pad_val=0,
        seg_pad_val=255,
        test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='mmseg.ResNet',
        depth=50,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 2),
        dilations=(1, 1, 1, 1),
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    neck=dict(type='FeatureFusionNeck', policy='abs_diff', out_indices=(0, 1, 2, 3)),
    decode_head=dict(
        type='mmseg.UPerHead',
        in_channels=[256, 512, 1024, 2048],
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=512,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', loss_weight=1.0)),
    auxiliary_head=dict(
        type='mmseg.FCNHead',
        in_channels=1024,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))

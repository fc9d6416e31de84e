# BIT (arXiv 2103.00208): 4 tokens per date, encoder of depth 1, decoder of depth 8, on the
# feature map of stage 3 (stride 16), the last one that the backbone computes.
norm_cfg = dict(type='BN', requires_grad=True)

model = dict(
    type='SiamEncoderDecoder',
    data_preprocessor=dict(
        type='DualInputSegDataPreProcessor',
        # RGB of both dates, although open-cd reads BGR; MillionAID's statistics
        mean=[86.182, 91.928, 85.374] * 2,
        std=[34.655, 34.476, 35.879] * 2,
        bgr_to_rgb=True,
        size_divisor=32,
        pad_val=0,
        seg_pad_val=255,
        test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='mmseg.ResNet',
        depth=50,
        num_stages=3,
        out_indices=(2, ),
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    # concatenates both maps, which the head splits again
    neck=dict(type='FeatureFusionNeck', policy='concat', out_indices=(0, )),
    decode_head=dict(
        type='BITHead',
        in_channels=1024,
        channels=32,
        # the paper has 8 heads of 64; open-cd's head derives their total width from that of
        # its feed-forward layers, 64
        embed_dims=64,
        num_heads=8,
        enc_depth=1,
        enc_with_pos=True,
        dec_depth=8,
        use_tokenizer=True,
        token_len=4,
        # stride 16 -> 8 before the tokens, 8 -> 1 after the difference
        pre_upsample=2,
        upsample_size=8,
        drop_rate=0.0,
        dropout_ratio=0.0,
        num_classes=2,
        norm_cfg=dict(type='LN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))

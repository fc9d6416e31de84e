# The small student of configs/cmid/cmid_resnet18_toy.py, for a short training.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=32,
        base_channels=32,
        strides=(1, 2, 1, 1),
        init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead', in_channels=256, loss=dict(type='CrossEntropyLoss')),
    # MillionAID's; `meta` of your checkpoint holds its own
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[86.182, 91.928, 85.374],
        std=[34.655, 34.476, 35.879],
        to_rgb=False))

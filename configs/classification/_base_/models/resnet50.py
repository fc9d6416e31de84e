# ResNet-50 to fine-tune, with the paper's augmentation of whole batches. The recipe sets
# num_classes in head and data_preprocessor.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResNet',
        depth=50,
        init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        in_channels=2048,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')),
    # one of the two for every batch, each as often
    train_cfg=dict(
        augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
    # MillionAID's, as in pre-training (`meta` of the checkpoint has them). The paper's
    # downstream runs took ImageNet's: mean=[123.675, 116.28, 103.53],
    # std=[58.395, 57.12, 57.375]
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[86.182, 91.928, 85.374],
        std=[34.655, 34.476, 35.879],
        to_rgb=False))

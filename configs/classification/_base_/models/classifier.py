# Classifier for fine-tuning with the paper's batch augmentations; the backbone is added by the
# other files, the number of classes (in head and data_preprocessor) by the config.
model = dict(
    type='ImageClassifier',
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')),
    # one of the two per batch, with equal probability
    train_cfg=dict(
        augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
    # MillionAID's, as in pre-training (`meta` of the checkpoint holds them). The paper's
    # downstream runs used ImageNet's: mean=[123.675, 116.28, 103.53],
    # std=[58.395, 57.12, 57.375]
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[86.182, 91.928, 85.374],
        std=[34.655, 34.476, 35.879],
        to_rgb=False))

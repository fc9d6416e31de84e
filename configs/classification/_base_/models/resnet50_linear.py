# ResNet-50 frozen, batch norm without weights, and a linear layer to train.
_base_ = './resnet50.py'

model = dict(
    backbone=dict(frozen_stages=4),
    neck=[
        dict(type='GlobalAveragePooling'),
        dict(type='ClsBatchNormNeck', input_features=2048),
    ],
    head=dict(loss=dict(_delete_=True, type='CrossEntropyLoss')),
    train_cfg=None)

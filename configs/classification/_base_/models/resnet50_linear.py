# Frozen ResNet-50, batch norm without affine parameters, trained linear layer.
_base_ = './resnet50.py'

model = dict(
    backbone=dict(frozen_stages=4),
    neck=[
        dict(type='GlobalAveragePooling'),
        dict(type='ClsBatchNormNeck', input_features=2048),
    ],
    head=dict(loss=dict(_delete_=True, type='CrossEntropyLoss')),
    train_cfg=None)

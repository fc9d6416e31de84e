# Frozen small student, batch norm without affine parameters, trained linear layer.
_base_ = './resnet18.py'

model = dict(
    backbone=dict(frozen_stages=4),
    neck=[
        dict(type='GlobalAveragePooling'),
        dict(type='ClsBatchNormNeck', input_features=256),
    ])

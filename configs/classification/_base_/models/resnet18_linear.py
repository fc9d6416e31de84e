# The small student frozen, batch norm without weights, and a linear layer to train.
_base_ = './resnet18.py'

model = dict(
    backbone=dict(frozen_stages=4),
    neck=[
        dict(type='GlobalAveragePooling'),
        dict(type='ClsBatchNormNeck', input_features=256),
    ])

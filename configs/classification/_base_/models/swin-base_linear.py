# Frozen Swin-B, batch norm without affine parameters, trained linear layer.
_base_ = './swin-base.py'

model = dict(
    backbone=dict(frozen_stages=3, drop_path_rate=0.),
    neck=[
        dict(type='GlobalAveragePooling'),
        dict(type='ClsBatchNormNeck', input_features=1024),
    ],
    head=dict(loss=dict(_delete_=True, type='CrossEntropyLoss')),
    train_cfg=None)

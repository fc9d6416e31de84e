# Frozen ViT-B/16, batch norm without affine parameters, trained linear layer.
_base_ = './vit-base.py'

model = dict(
    backbone=dict(frozen_stages=12),
    neck=[
        dict(type='GlobalAveragePooling'),
        dict(type='ClsBatchNormNeck', input_features=768),
    ],
    head=dict(loss=dict(_delete_=True, type='CrossEntropyLoss')),
    train_cfg=None)

_base_ = './classifier.py'

model = dict(
    backbone=dict(
        type='ResNet',
        depth=50,
        init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    head=dict(in_channels=2048))

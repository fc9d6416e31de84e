_base_ = './classifier.py'

model = dict(
    backbone=dict(
        type='SwinTransformer',
        arch='base',
        img_size=224,
        out_indices=(3, ),
        drop_path_rate=0.5,
        init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    head=dict(in_channels=1024))

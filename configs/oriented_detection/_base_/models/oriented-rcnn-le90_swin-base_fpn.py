_base_ = './oriented-rcnn-le90_r50_fpn.py'

model = dict(
    backbone=dict(
        _delete_=True,
        # the class of pre-training; mmdet's own has the same keys
        type='mmpretrain.SwinTransformer',
        arch='base',
        img_size=224,
        drop_path_rate=0.3,
        out_indices=(0, 1, 2, 3),
        pad_small_map=True,
        init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    neck=dict(in_channels=[128, 256, 512, 1024]))

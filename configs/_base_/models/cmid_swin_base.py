_base_ = './cmid.py'

model = dict(
    backbone=dict(
        type='SwinTransformer',
        arch='base',
        img_size=224,
        drop_path_rate=0.,
        out_indices=(3, )))

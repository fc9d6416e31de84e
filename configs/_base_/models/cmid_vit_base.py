_base_ = './cmid.py'

# stride 16: 14 x 14 cells to match instead of 7 x 7
model = dict(
    backbone=dict(
        type='VisionTransformer',
        arch='base',
        img_size=224,
        patch_size=16,
        out_type='featmap'))

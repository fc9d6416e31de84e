_base_ = './classifier.py'

model = dict(
    backbone=dict(
        type='VisionTransformer',
        arch='base',
        img_size=224,
        patch_size=16,
        # pre-training trains the patch tokens, so their mean instead of the class token
        out_type='featmap',
        init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    head=dict(in_channels=768))

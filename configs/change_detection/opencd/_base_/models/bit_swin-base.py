_base_ = './bit_r50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.SwinTransformer',
        # the first three stages of 'base'
        arch=dict(embed_dims=128, depths=[2, 2, 18], num_heads=[4, 8, 16]),
        img_size=256,
        drop_rate=0.3,
        drop_path_rate=0.3,
        out_indices=(2, ),
        pad_small_map=True,
        init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    decode_head=dict(in_channels=512))

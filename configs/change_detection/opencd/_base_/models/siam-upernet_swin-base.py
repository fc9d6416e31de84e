_base_ = './siam-upernet_r50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.SwinTransformer',
        arch='base',
        img_size=256,
        drop_path_rate=0.3,
        out_indices=(0, 1, 2, 3),
        # windows of maps below 7 x 7 are padded: images of any size
        pad_small_map=True,
        init_cfg=dict(type='CMIDPretrained', checkpoint='backbone.pth')),
    decode_head=dict(in_channels=[128, 256, 512, 1024]),
    auxiliary_head=dict(in_channels=512))

_base_ = './cmid.py'

model = dict(
    backbone=dict(
        type='ConvNeXt', arch='tiny', drop_path_rate=0., gap_before_final_norm=False))

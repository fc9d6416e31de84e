# The backbone encodes both dates; UPerNet, with an auxiliary head on stage 3, decodes the
# absolute difference of its feature maps.
_base_ = '../../../segmentation/_base_/models/upernet_r50.py'

model = dict(
    type='SiameseEncoderDecoder',
    fusion='abs_diff',
    data_preprocessor=dict(
        _delete_=True,
        type='BandsSegDataPreProcessor',
        # LoadRSImagePair returns RGB of both dates, 0 to 255; MillionAID's statistics
        mean=[86.182, 91.928, 85.374],
        std=[34.655, 34.476, 35.879],
        dates=2,
        size_divisor=32,
        pad_val=0,
        seg_pad_val=255,
        test_cfg=dict(size_divisor=32)),
    decode_head=dict(num_classes=2),
    auxiliary_head=dict(num_classes=2))

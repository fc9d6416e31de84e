# Your own images with masks. Set the values below _base_; the tree is
#
#   DATA_ROOT/images/...                JPEG, PNG or GeoTIFF, in subfolders too
#   DATA_ROOT/masks/...                 the same names: PNG or GeoTIFF of one band that holds
#                                       class indices
#   DATA_ROOT/{train,val}.txt           names, one per line; written by
#                                       tools/dataset_converters/split_dataset.py
#
# or images/{train,val} and masks/{train,val}: then without ann_file, and with these folders in
# data_prefix. Classes count from 0, or from 1 with 0 for "not labelled" and
# reduce_zero_label=True; 255 is ignored.
# Images are trained in crops of 512 and tested in windows of 512, so they may be large. Set
# the statistics of the checkpoint's pre-training in model.data_preprocessor (mean, std), one
# value per band. For other than 3 bands: bands=... in both LoadRSImage, in_channels in the
# backbone, no PhotoMetricDistortion.
_base_ = [
    './_base_/models/upernet_r50.py', './_base_/datasets/mask_folder.py',
    './_base_/schedules/sgd_50e.py', './_base_/default_runtime.py'
]

classes = ('background', 'building', 'road')
dataset = dict(
    data_root='data/masks',
    data_prefix=dict(img_path='images', seg_map_path='masks'),
    metainfo=dict(
        classes=classes, palette=[(0, 0, 0), (220, 60, 50), (140, 140, 140)]),
    reduce_zero_label=False)
train_dataloader = dict(dataset=dict(dataset, ann_file='train.txt'))
val_dataloader = dict(dataset=dict(dataset, ann_file='val.txt'))
test_dataloader = val_dataloader

model = dict(
    data_preprocessor=dict(
        _delete_=True,
        # mmseg's preprocessor for any number of bands
        type='BandsSegDataPreProcessor',
        mean=[86.182, 91.928, 85.374],
        std=[34.655, 34.476, 35.879],
        size=(512, 512),
        pad_val=0,
        seg_pad_val=255),
    decode_head=dict(num_classes=len(classes)),
    auxiliary_head=dict(num_classes=len(classes)),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(384, 384)))

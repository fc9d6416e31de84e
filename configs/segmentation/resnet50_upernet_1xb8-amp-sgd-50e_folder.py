# Your own images with masks. Change the lines under _base_; the tree is
#
#   DATA_ROOT/images/...                JPEG, PNG or GeoTIFF, in subfolders too
#   DATA_ROOT/masks/...                 the same names: PNG or GeoTIFF of one band, in
#                                       every pixel the number of its class
#   DATA_ROOT/{train,val}.txt           names, one a line; written by
#                                       tools/dataset_converters/split_dataset.py
#
# or images/{train,val} and masks/{train,val}: then no ann_file, and these folders in
# data_prefix. Classes count from 0, or from 1 with 0 for "not labelled" and
# reduce_zero_label = True; 255 is ignored.
# Images are trained in crops of 512 and tested in windows of 512, so they may be large.
# Statistics of the checkpoint's pre-training belong into model.data_preprocessor (mean,
# std), a number a band. With other than 3 bands: bands=... in both LoadRSImage, in_channels
# in the backbone, no PhotoMetricDistortion.
#
#   python tools/train.py configs/segmentation/resnet50_upernet_1xb8-amp-sgd-50e_folder.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/upernet_resnet50.py',
    './_base_/datasets/mask_folder.py',
    './_base_/schedules/sgd_50e.py',
    './_base_/default_runtime.py',
]

data_root = 'data/masks'
train_files = dict(
    ann_file='train.txt', data_prefix=dict(img_path='images', seg_map_path='masks'))
val_files = dict(
    ann_file='val.txt', data_prefix=dict(img_path='images', seg_map_path='masks'))
classes = ('background', 'building', 'road')
palette = [(0, 0, 0), (220, 60, 50), (140, 140, 140)]
reduce_zero_label = False

dataset = dict(
    data_root=data_root,
    metainfo=dict(classes=classes, palette=palette),
    reduce_zero_label=reduce_zero_label)
train_dataloader = dict(dataset=dict(**train_files, **dataset))
val_dataloader = dict(dataset=dict(**val_files, **dataset))
test_dataloader = val_dataloader

custom_imports = dict(
    imports=['cmid_mm', 'cmid_mm.models.segmentors'], allow_failed_imports=False)
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        # mmseg's own for any number of bands
        type='BandsSegDataPreProcessor',
        mean=[86.182, 91.928, 85.374],
        std=[34.655, 34.476, 35.879],
        size=(512, 512),
        pad_val=0,
        seg_pad_val=255),
    decode_head=dict(num_classes=len(classes)),
    auxiliary_head=dict(num_classes=len(classes)),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(384, 384)))

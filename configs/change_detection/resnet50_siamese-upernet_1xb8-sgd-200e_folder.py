# Your own pairs of images. Change the line under _base_; the tree is
#
#   DATA_ROOT/{train,val}/A/...         earlier date: JPEG, PNG or GeoTIFF
#   DATA_ROOT/{train,val}/B/...         later date: the same names and sizes, registered
#   DATA_ROOT/{train,val}/label/...     the same names: PNG or GeoTIFF of one band, 0 where
#                                       nothing changed, anything else where it did
#
# or A, B and label without the level above them and lists of names, one a line: train_files
# = dict(ann_file='train.txt', data_prefix=dict(img_path='A', img_path2='B',
# seg_map_path='label')), the same for val_files; tools/dataset_converters/split_dataset.py
# writes such lists. Images are trained in crops of 256 and tested in windows of 256, so
# they may be large. Statistics of the checkpoint's pre-training belong into
# model.data_preprocessor (mean, std), a number a band. With other than 3 bands: bands=...
# in both LoadRSImagePair, in_channels in the backbone.
#
#   python tools/train.py \
#       configs/change_detection/resnet50_siamese-upernet_1xb8-sgd-200e_folder.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/siamese_upernet_resnet50.py',
    './_base_/datasets/pairs_256.py',
    './_base_/schedules/sgd_200e.py',
    './_base_/default_runtime.py',
]

data_root = 'data/pairs'
train_files = dict(
    data_prefix=dict(img_path='train/A', img_path2='train/B', seg_map_path='train/label'))
val_files = dict(
    data_prefix=dict(img_path='val/A', img_path2='val/B', seg_map_path='val/label'))

train_pipeline = [
    dict(type='mmpretrain.LoadRSImagePair', bands=3),
    dict(type='mmpretrain.LoadChangeMask'),
    # a crop that is unchanged to more than 90 % is drawn again, up to ten times
    dict(type='RandomCrop', crop_size=(256, 256), cat_max_ratio=0.9),
    dict(type='RandomRotFlip', rotate_prob=0.0, flip_prob=0.75),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(data_root=data_root, pipeline=train_pipeline, **train_files))
val_dataloader = dict(dataset=dict(data_root=data_root, **val_files))
test_dataloader = dict(dataset=dict(data_root=data_root, **val_files))

model = dict(test_cfg=dict(mode='slide', crop_size=(256, 256), stride=(192, 192)))

# Your own pairs of images. Set data_root; the tree is
#
#   DATA_ROOT/{train,val}/A/...         earlier date: JPEG, PNG or GeoTIFF
#   DATA_ROOT/{train,val}/B/...         later date: the same names and sizes, registered
#   DATA_ROOT/{train,val}/label/...     the same names: PNG or GeoTIFF of one band, 0 where
#                                       nothing changed, any other value where it did
#
# or A, B and label without the level above them, with lists of names, one per line: then
# {train,val}_files = dict(img_path='A', img_path2='B', seg_map_path='label') for both parts, and
# ann_file='train.txt' and 'val.txt', which tools/dataset_converters/split_dataset.py writes.
# Images are trained in crops of 256 and tested in windows of 256, so they may be large. Set
# the statistics of the checkpoint's pre-training in model.data_preprocessor (mean, std), one
# value per band. For other than 3 bands: bands=... in both LoadRSImagePair, in_channels in
# the backbone.
_base_ = [
    './_base_/models/siamese-upernet_r50.py', './_base_/datasets/pairs_256.py',
    './_base_/schedules/sgd_200e.py', './_base_/default_runtime.py'
]

data_root = 'data/pairs'
train_files = dict(img_path='train/A', img_path2='train/B', seg_map_path='train/label')
val_files = dict(img_path='val/A', img_path2='val/B', seg_map_path='val/label')

train_pipeline = _base_.train_pipeline
# a crop with more than 90 % unchanged pixels is drawn again, up to ten times
train_pipeline.insert(2, dict(type='RandomCrop', crop_size=(256, 256), cat_max_ratio=0.9))
train_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix=train_files, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, data_prefix=val_files))
test_dataloader = val_dataloader

model = dict(test_cfg=dict(mode='slide', crop_size=(256, 256), stride=(192, 192)))

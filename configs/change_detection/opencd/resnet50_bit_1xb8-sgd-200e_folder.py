# Your own pairs of images, with open-cd. Change the lines under _base_; the tree is
#
#   DATA_ROOT/{train,val}/A/...         earlier date, PNG of three bands, all of one size
#   DATA_ROOT/{train,val}/B/...         later date: the same names and sizes, registered
#   DATA_ROOT/{train,val}/label/...     the same names: below 128 nothing changed
#
# or A, B and label without the level above them and lists of names without their ending:
# ann_file='train.txt' and the three folders in data_prefix;
# tools/dataset_converters/split_dataset.py writes such lists. GeoTIFFs and images of other
# bands: resnet50_siamese-upernet_1xb8-sgd-200e_folder.py, one folder up. Statistics of the
# checkpoint's pre-training, for both dates, belong into model.data_preprocessor.
#
#   python tools/train.py \
#       configs/change_detection/opencd/resnet50_bit_1xb8-sgd-200e_folder.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/bit_resnet50.py',
    './_base_/datasets/levir_cd.py',
    './_base_/schedules/sgd_200e.py',
    './_base_/default_runtime.py',
]

data_root = 'data/pairs'
suffixes = dict(img_suffix='.png', seg_map_suffix='.png')
train_files = dict(
    data_prefix=dict(
        img_path_from='train/A', img_path_to='train/B', seg_map_path='train/label'))
val_files = dict(
    data_prefix=dict(img_path_from='val/A', img_path_to='val/B', seg_map_path='val/label'))

train_dataloader = dict(dataset=dict(data_root=data_root, **suffixes, **train_files))
val_dataloader = dict(dataset=dict(data_root=data_root, **suffixes, **val_files))
test_dataloader = val_dataloader

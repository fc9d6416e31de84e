# Your own pairs of images, with open-cd. Set the values below _base_; the tree is
#
#   DATA_ROOT/{train,val}/A/...         earlier date, PNG of three bands, all of one size
#   DATA_ROOT/{train,val}/B/...         later date: the same names and sizes, registered
#   DATA_ROOT/{train,val}/label/...     the same names: 0 to 127 where nothing changed
#
# or A, B and label without the level above them, with lists of names without their ending:
# ann_file='train.txt' and the three folders in data_prefix;
# tools/dataset_converters/split_dataset.py writes such lists. For GeoTIFFs and other bands use
# ../siamese-upernet_r50_1xb8-sgd-200e_folder.py. Set the statistics of the checkpoint's
# pre-training, for both dates, in model.data_preprocessor.
_base_ = [
    './_base_/models/bit_r50.py', './_base_/datasets/levir_cd.py',
    '../_base_/schedules/sgd_200e.py', './_base_/default_runtime.py'
]

dataset = dict(data_root='data/pairs', img_suffix='.png', seg_map_suffix='.png')
train_dataloader = dict(
    dataset=dict(
        dataset,
        data_prefix=dict(
            img_path_from='train/A', img_path_to='train/B', seg_map_path='train/label')))
val_dataloader = dict(
    dataset=dict(
        dataset,
        data_prefix=dict(
            img_path_from='val/A', img_path_to='val/B', seg_map_path='val/label')))
test_dataloader = val_dataloader

# ISPRS Potsdam as tools/dataset_converters/potsdam.py writes it: 24 images for training, 14
# for testing, in tiles of 512. In the label images 0 is the boundary, which
# reduce_zero_label (mmseg's default for this set) turns into 255, and 6 is clutter, which is
# not among the classes and becomes 255 too: 5 classes are trained and scored.
_base_ = './mask_folder.py'

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1] = test_pipeline[1] = dict(type='LoadAnnotations')
dataset = dict(
    type='PotsdamDataset',
    data_root='data/potsdam',
    metainfo=dict(
        classes=('impervious_surface', 'building', 'low_vegetation', 'tree', 'car')))

train_dataloader = dict(
    dataset=dict(
        dataset,
        data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        dataset,
        data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

# ISPRS Potsdam as tools/dataset_converters/potsdam.py writes it. In the label images 0 is
# the boundary, which reduce_zero_label (mmseg's default for this set) turns into 255, and
# 6 is clutter, which is no class here and so becomes 255 too: 5 classes are learned and
# scored.
dataset_type = 'PotsdamDataset'
data_root = 'data/potsdam'
classes = ('impervious_surface', 'building', 'low_vegetation', 'tree', 'car')
crop_size = (512, 512)

train_pipeline = [
    dict(type='mmpretrain.LoadRSImage', bands=3),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=crop_size, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='mmpretrain.LoadRSImage', bands=3),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    # a last batch of one image would leave the pooled maps' BN without a deviation
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'),
        metainfo=dict(classes=classes),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'),
        metainfo=dict(classes=classes),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU', 'mFscore'])
test_evaluator = val_evaluator

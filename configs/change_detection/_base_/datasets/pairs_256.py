# Pairs of two dates with a mask of change, {train,val,test}/{A,B,label} under data_root, read
# by cmid_mm/datasets/mask_folder.py. The config adds data_root.
metainfo = dict(classes=('unchanged', 'changed'), palette=[(0, 0, 0), (255, 255, 255)])

train_pipeline = [
    dict(type='mmpretrain.LoadRSImagePair', bands=3),
    dict(type='mmpretrain.LoadChangeMask'),
    # quarter turns of both dates and the mask; with the flips, all eight orientations
    dict(type='RandomRotFlip', rotate_prob=0.0, flip_prob=0.75),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='mmpretrain.LoadRSImagePair', bands=3),
    dict(type='mmpretrain.LoadChangeMask'),
    dict(type='PackSegInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    # batch norm after the pooling to 1 x 1 has no variance in a last batch of one image
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmpretrain.MaskFolder',
        data_prefix=dict(
            img_path='train/A', img_path2='train/B', seg_map_path='train/label'),
        metainfo=metainfo,
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpretrain.MaskFolder',
        data_prefix=dict(img_path='val/A', img_path2='val/B', seg_map_path='val/label'),
        metainfo=metainfo,
        pipeline=test_pipeline))
test_files = dict(img_path='test/A', img_path2='test/B', seg_map_path='test/label')
test_dataloader = dict(
    val_dataloader, dataset=dict(val_dataloader['dataset'], data_prefix=test_files))

val_evaluator = dict(type='mmpretrain.ChangeMetric')
test_evaluator = val_evaluator

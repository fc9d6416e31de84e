# Pairs of two dates with a mask of change, {train,val,test}/{A,B,label} of PNGs under
# data_root; open-cd reads mask values from 128 on as change and tests one pair at a time.
dataset_type = 'LEVIR_CD_Dataset'
data_root = 'data/levir_cd'

train_pipeline = [
    dict(type='MultiImgLoadImageFromFile'),
    dict(type='MultiImgLoadAnnotations'),
    # quarter turns of both dates and the mask; with the flips, all eight orientations
    dict(type='MultiImgRandomRotFlip', rotate_prob=0.0, flip_prob=0.75),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='horizontal'),
    dict(type='MultiImgRandomFlip', prob=0.5, direction='vertical'),
    dict(type='MultiImgPackSegInputs'),
]
test_pipeline = [
    dict(type='MultiImgLoadImageFromFile'),
    dict(type='MultiImgLoadAnnotations'),
    dict(type='MultiImgPackSegInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    # batch norm after the pooling to 1 x 1 has no variance in a last batch of one image
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path_from='train/A', img_path_to='train/B', seg_map_path='train/label'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path_from='val/A', img_path_to='val/B', seg_map_path='val/label'),
        pipeline=test_pipeline))
test_files = dict(img_path_from='test/A', img_path_to='test/B', seg_map_path='test/label')
test_dataloader = dict(
    val_dataloader, dataset=dict(val_dataloader['dataset'], data_prefix=test_files))

val_evaluator = dict(type='mmpretrain.ChangeMetric')
test_evaluator = val_evaluator

# Training on train and val. The boxes of the test images are not public: the test writes a
# submission for DOTA's server, with the predictions of tiles merged to images. The scores of
# val, which is part of the training data, are only a check of the training.
_base_ = './dota_text.py'

test_pipeline = [
    dict(type='mmpretrain.LoadRSImage', bands=3),
    dict(type='mmdet.Resize', scale=(1024, 1024), keep_ratio=True),
    dict(
        type='mmdet.PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]

train_dataloader = dict(
    dataset=dict(
        ann_file='trainval/annfiles/', data_prefix=dict(img_path='trainval/images/')))
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmpretrain.CheckedDOTADataset',
        data_root='data/dota/',
        data_prefix=dict(img_path='test/images/'),
        test_mode=True,
        pipeline=test_pipeline))
test_evaluator = dict(
    _delete_=True,
    type='DOTAMetric',
    format_only=True,
    merge_patches=True,
    # a new folder: mmrotate refuses an existing one
    outfile_prefix='work_dirs/dota_submission/Task1')

# k-NN accuracy of a small student on generated scenes; nothing is trained.
_base_ = [
    './_base_/models/resnet18_knn.py', './_base_/datasets/scenes.py',
    './_base_/protocols/knn.py', './_base_/default_runtime.py'
]

test_pipeline = [
    *_base_.scenes_val.pipeline[:-1],
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path', 'split')),
]
scenes = dict(_base_.scenes, query_every=None, pipeline=test_pipeline)
test_dataloader = dict(
    num_workers=2,
    dataset=dict(datasets=[
        dict(scenes, data_prefix='train', split='gallery'),
        dict(scenes, data_prefix='val', split='query'),
    ]))
val_dataloader = test_dataloader

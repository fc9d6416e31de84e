# k-NN accuracy of a small student on generated scenes: those of train vote, those of val
# are scored; nothing is trained.
#
#   python tools/generate_scenes.py data/scenes --size 128 --tasks classification
#   python tools/test.py configs/classification/resnet18_knn_scenes.py backbone.pth
_base_ = [
    './_base_/models/resnet18_knn.py', './_base_/protocols/knn.py',
    './_base_/default_runtime.py'
]

test_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(type='ResizeEdge', scale=128, edge='short'),
    dict(type='CenterCrop', crop_size=128),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path', 'split')),
]
scenes = dict(
    type='ImageFolder', data_root='data/scenes/classification', with_label=True,
    query_every=None, pipeline=test_pipeline)
test_dataloader = dict(
    num_workers=2,
    dataset=dict(datasets=[
        dict(scenes, data_prefix='train', split='bank'),
        dict(scenes, data_prefix='val', split='query'),
    ]))
val_dataloader = test_dataloader

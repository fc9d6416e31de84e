# A small student on small views, for a first try and for machines without a GPU. The
# quickstart starts from this file and changes what depends on the images.
#
#   python tools/train.py configs/cmid/cmid_resnet18_toy.py \
#       --cfg-options train_dataloader.dataset.data_root=FOLDER
_base_ = './cmid_resnet50_1xb64-amp-adan-coslr-100e_folder.py'

model = dict(
    image_size=64,
    # half the usual channels, a quarter of the work; a stride of 8, so that a view has 8 x 8
    # cells: in equal time better than 96 px with a stride of 16, see docs/results.md
    backbone=dict(depth=18, stem_channels=32, base_channels=32, strides=(1, 2, 1, 1)),
    data_preprocessor=dict(mask_cell=8),
    global_projector=dict(hidden_channels=512, out_channels=128),
    dense_projector=dict(hidden_channels=512, bottleneck_channels=128),
    global_head=dict(embed_dims=128))

train_pipeline = [
    # 64 / sqrt(0.3 * 3/4), see ../_base_/datasets/image_folder_224.py
    dict(type='LoadRSImage', bands=3, shortest_side=135),
    dict(type='CMIDTwoViews', size=64),
    dict(type='PackViews'),
]
train_dataloader = dict(num_workers=2, dataset=dict(pipeline=train_pipeline))

test_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(type='ResizeEdge', scale=110, edge='short'),
    dict(type='CenterCrop', crop_size=96),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path', 'split')),
]
labelled_folder = dict(
    type='ImageFolder', data_root='data/ucm/images', with_label=True, pipeline=test_pipeline)
test_dataloader = dict(
    num_workers=2,
    dataset=dict(datasets=[dict(labelled_folder, split=split) for split in ('gallery', 'query')]))
place_folder = dict(pipeline=[
    dict(type='LoadRSImage', bands=3),
    dict(type='LoadMask'),
    dict(type='Resize', scale=(256, 256)),
    dict(type='PackInputs', algorithm_keys=('gt_seg_map', ), meta_keys=('img_path', )),
])

train_cfg = dict(max_epochs=20)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
default_hooks = dict(logger=dict(interval=10))

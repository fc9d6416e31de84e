# A small student on small views, for a first try and for machines without a GPU. The
# quickstart starts from this file and changes what depends on the images. 'auto' becomes the
# value for the number of images and steps, see docs/pretraining.md.
#
#   python tools/train.py configs/cmid/cmid_resnet18_toy.py \
#       --cfg-options train_dataloader.dataset.data_root=FOLDER
_base_ = [
    '../_base_/models/cmid_resnet50.py',
    '../_base_/datasets/image_folder_224.py',
    '../_base_/schedules/cmid_adan_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    image_size=64,
    # half the usual channels, a quarter of the work; a stride of 8, so that a view has 8 x 8
    # cells: in equal time better than 96 px with a stride of 16, see docs/results.md
    backbone=dict(depth=18, stem_channels=32, base_channels=32, strides=(1, 2, 1, 1)),
    # the images' own statistics are measured before training
    data_preprocessor=dict(mean=None, std=None, bands=3, mask_cell=8),
    global_projector=dict(hidden_channels=512, out_channels=128),
    dense_projector=dict(
        hidden_channels=512, bottleneck_channels=128, num_prototypes='auto'),
    global_head=dict(embed_dims=128, queue_size='auto'),
    local_head=dict(num_prototypes='auto'))

train_pipeline = [
    # 64 / sqrt(0.3 * 3/4), see ../_base_/datasets/image_folder_224.py
    dict(type='LoadRSImage', bands=3, shortest_side=135),
    dict(type='CMIDTwoViews', size=64),
    dict(type='PackViews'),
]
train_dataloader = dict(
    batch_size=64, num_workers=2, dataset=dict(pipeline=train_pipeline))

test_pipeline = [
    dict(type='LoadRSImage', bands=3),
    dict(type='ResizeEdge', scale=110, edge='short'),
    dict(type='CenterCrop', crop_size=96),
    dict(type='PackInputs', meta_keys=('sample_idx', 'img_path', 'split')),
]
labelled_folder = dict(
    type='ImageFolder', data_root='data/ucmerced', with_label=True, pipeline=test_pipeline)
test_dataloader = dict(
    num_workers=2,
    dataset=dict(datasets=[dict(labelled_folder, split=split) for split in ('gallery', 'query')]))
place_folder = dict(pipeline=[
    dict(type='LoadRSImage', bands=3),
    dict(type='LoadMask'),
    dict(type='Resize', scale=(256, 256)),
    dict(type='PackInputs', algorithm_keys=('gt_seg_map', ), meta_keys=('img_path', )),
])

# the rate belongs to the batch of 64
train_cfg = dict(max_epochs=20)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
auto_scale_lr = dict(base_batch_size=64)
param_scheduler = [
    dict(
        type='CMIDCosineLR',
        warmup='auto',
        warmup_factor=0.01,
        eta_min=1e-6,
        by_epoch=True,
        convert_to_iter_based=True)
]
default_hooks = dict(logger=dict(interval=10))
custom_hooks = [
    dict(type='CMIDTeacherMomentumHook', base_momentum='auto'),
    dict(type='CMIDTeacherTemperatureHook', start='auto', end='auto', warmup_epochs='auto'),
    dict(type='PreflightHook'),
    dict(type='MeasureStatisticsHook'),
    # the student's batch norms get statistics of whole images
    dict(type='CalibrateBatchNormHook'),
]

# CMID on a folder of your own images with one GPU. Mean and deviation are measured before
# training, and 'auto' becomes the value for the number of images and steps, see
# docs/pretraining.md.
#
#   python tools/train.py configs/cmid/cmid_resnet50_1xb64-amp-adan-coslr-100e_folder.py \
#       --cfg-options train_dataloader.dataset.data_root=FOLDER
_base_ = [
    '../_base_/models/cmid_resnet50.py',
    '../_base_/datasets/image_folder_224.py',
    '../_base_/schedules/cmid_adan_200e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(mean=None, std=None, bands=3),
    dense_projector=dict(num_prototypes='auto'),
    global_head=dict(queue_size='auto'),
    local_head=dict(num_prototypes='auto'))
train_dataloader = dict(batch_size=64)

train_cfg = dict(max_epochs=100)
# the published rate, in proportion to the batch
optim_wrapper = dict(optimizer=dict(lr=1e-3))
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
custom_hooks = [
    dict(type='CMIDTeacherMomentumHook', base_momentum='auto'),
    dict(type='CMIDTeacherTemperatureHook', start='auto', end='auto', warmup_epochs='auto'),
    dict(type='PreflightHook'),
    dict(type='MeasureStatisticsHook'),
    # the student's batch norms get statistics of whole images
    dict(type='CalibrateBatchNormHook'),
]

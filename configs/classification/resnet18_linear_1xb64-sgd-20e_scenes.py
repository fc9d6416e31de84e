# Linear probe of a frozen small student on generated scenes, for a first try on a CPU.
_base_ = [
    './_base_/models/resnet18_linear.py', './_base_/datasets/scenes.py',
    './_base_/protocols/linear.py', './_base_/default_runtime.py'
]

model = dict(head=dict(num_classes=12), data_preprocessor=dict(num_classes=12))
train_pipeline = _base_.scenes_train.pipeline
test_pipeline = _base_.scenes_val.pipeline
train_dataloader = dict(num_workers=2, dataset=_base_.scenes_train)
val_dataloader = dict(num_workers=2, dataset=_base_.scenes_val)
test_dataloader = val_dataloader

default_hooks = dict(logger=dict(interval=10))
train_cfg = dict(max_epochs=20)
param_scheduler = [
    dict(
        type='CMIDCosineLR',
        warmup=1,
        eta_min=0.,
        by_epoch=True,
        convert_to_iter_based=True)
]

# A small student fine-tuned on generated scenes, for a first try on a CPU.
_base_ = [
    './_base_/models/resnet18.py', './_base_/datasets/scenes.py',
    './_base_/protocols/finetune.py', './_base_/default_runtime.py'
]

# without a norm the head, which sees small features, has not learned much after 300 steps
model = dict(
    neck=[
        dict(type='GlobalAveragePooling'),
        dict(type='ClsBatchNormNeck', input_features=256),
    ],
    head=dict(num_classes=12),
    data_preprocessor=dict(num_classes=12))
train_pipeline = _base_.scenes_train.pipeline
test_pipeline = _base_.scenes_val.pipeline
train_dataloader = dict(batch_size=16, num_workers=2, dataset=_base_.scenes_train)
val_dataloader = dict(num_workers=2, dataset=_base_.scenes_val)
test_dataloader = val_dataloader

default_hooks = dict(logger=dict(interval=10))
optim_wrapper = dict(
    _delete_=True,
    type='AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    # a pre-trained backbone loses at the rate of the head what it has learned
    paramwise_cfg=dict(backbone_lr_mult=0.25, custom_keys=dict(head=dict(lr_mult=2.5))))
auto_scale_lr = dict(base_batch_size=16)
train_cfg = dict(max_epochs=10)
param_scheduler = [
    dict(type='CMIDCosineLR', warmup=1, by_epoch=True, convert_to_iter_based=True)
]

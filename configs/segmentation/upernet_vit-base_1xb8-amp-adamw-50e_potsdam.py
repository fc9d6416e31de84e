# UPerNet with ViT-B/16 on ISPRS Potsdam, 1 GPU x 8 images: the paper's recipe for Swin-B (it
# has no plain ViT), in mixed precision.
_base_ = [
    './_base_/models/upernet_vit-base.py', './_base_/datasets/potsdam.py',
    './_base_/schedules/adamw_50e.py', './_base_/default_runtime.py'
]

optim_wrapper = dict(type='mmpretrain.AutoPrecisionOptimWrapper')

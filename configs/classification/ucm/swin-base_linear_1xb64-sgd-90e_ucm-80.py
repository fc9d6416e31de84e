# Linear probe of a frozen Swin-B on UC Merced: 1,680 images (80 % of each class)
# to train, 420 to test.
# Recipe after MAE, see _base_/protocols/linear.py.
# 1 process x 64 images = 64, 26 steps an epoch. From an exported backbone:
#
#   python tools/train.py \
#       configs/classification/ucm/swin-base_linear_1xb64-sgd-90e_ucm-80.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    '../_base_/models/swin-base_linear.py', '../_base_/datasets/ucm.py',
    '../_base_/protocols/linear.py', '../_base_/default_runtime.py'
]

model = dict(
    head=dict(num_classes=_base_.num_classes),
    data_preprocessor=dict(num_classes=_base_.num_classes))
train_dataloader = dict(dataset=_base_.train_80)
val_dataloader = dict(dataset=_base_.test_80)
test_dataloader = val_dataloader

# ResNet-50 fine-tuned on NWPU-RESISC45: 6,300 images (20 % of each class)
# to train, 25,200 to test.
# The paper's recipe for UC Merced; it does not report this set.
# 1 process x 16 images = 16, 393 steps an epoch. From an exported backbone:
#
#   python tools/train.py \
#       configs/classification/nwpu/resnet50_finetune_1xb16-amp-adan-200e_nwpu-20.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    '../_base_/models/resnet50.py', '../_base_/datasets/nwpu.py',
    '../_base_/protocols/finetune.py', '../_base_/default_runtime.py'
]

model = dict(
    head=dict(num_classes=_base_.num_classes),
    data_preprocessor=dict(num_classes=_base_.num_classes))
train_dataloader = dict(dataset=_base_.train_20)
val_dataloader = dict(dataset=_base_.test_20)
test_dataloader = val_dataloader

# ViT-B/16 fine-tuned on UC Merced: 1,680 images (80 % of each class)
# to train, 420 to test.
# The paper's recipe for ResNet-50 and Swin-B; it has no ViT.
# 1 process x 16 images = 16, 105 steps an epoch. From an exported backbone:
#
#   python tools/train.py \
#       configs/classification/ucm/vit-base_finetune_1xb16-amp-adan-200e_ucm-80.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    '../_base_/models/vit-base.py', '../_base_/datasets/ucm.py',
    '../_base_/protocols/finetune.py', '../_base_/default_runtime.py'
]

model = dict(
    head=dict(num_classes=_base_.num_classes),
    data_preprocessor=dict(num_classes=_base_.num_classes))
train_dataloader = dict(dataset=_base_.train_80)
val_dataloader = dict(dataset=_base_.test_80)
test_dataloader = val_dataloader

# UPerNet on ISPRS Vaihingen, ViT-B/16: 1 GPU x 8 images, 50 epochs. The paper (arXiv
# 2304.09670) has no plain ViT; these are its settings for Swin-B, in mixed precision.
#
# Protocol: 16 images to train on, 17 to test, cut into tiles of 512 that are tested whole;
# 5 classes are learned and scored, clutter and (with the converter's default labels) the
# 3 pixels on either side of a boundary are ignored. Normalised as in pre-training, where
# the paper used ImageNet's statistics.
#
#   python tools/dataset_converters/vaihingen.py DOWNLOAD --out data/vaihingen
#   python tools/train.py \
#       configs/segmentation/vit-base_upernet_1xb8-amp-adamw-50e_vaihingen.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/upernet_vit_base.py',
    './_base_/datasets/vaihingen.py',
    './_base_/schedules/adamw_50e.py',
    './_base_/default_runtime.py',
]

optim_wrapper = dict(type='mmpretrain.AutoPrecisionOptimWrapper')

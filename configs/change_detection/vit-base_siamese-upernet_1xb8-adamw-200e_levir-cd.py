# Siamese UPerNet on LEVIR-CD, ViT-B/16, with mmseg alone: optimiser, 200 epochs and
# flips of the paper's experiment with BIT for Swin-B (arXiv 2304.09670), 1 GPU x 8 pairs.
#
# 445 pairs of 1,024 pixels to train on, 128 to test, cut into 256. Normalised as in
# pre-training. F1 over all pixels of the test set.
#
#   python tools/dataset_converters/levir_cd.py DOWNLOAD --out data/levir_cd
#   python tools/train.py \
#       configs/change_detection/vit-base_siamese-upernet_1xb8-adamw-200e_levir-cd.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/siamese_upernet_vit_base.py',
    './_base_/datasets/levir_cd.py',
    './_base_/schedules/adamw_200e.py',
    './_base_/default_runtime.py',
]

# Siamese UPerNet on CDD (SVCD), Swin-B, with mmseg alone: optimiser, 200 epochs and
# flips of the paper's experiment with BIT (arXiv 2304.09670), 1 GPU x 8 pairs.
#
# 10,000 pairs of 256 pixels to train on, 3,000 to test. Normalised as in pre-training,
# where the paper's code fed 0 to 255; F1 over all pixels of the test set, where it took
# the mean over batches.
#
#   python tools/dataset_converters/cdd.py DOWNLOAD --out data/cdd
#   python tools/train.py \
#       configs/change_detection/swin-base_siamese-upernet_1xb8-adamw-200e_cdd.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/siamese_upernet_swin_base.py',
    './_base_/datasets/cdd.py',
    './_base_/schedules/adamw_200e.py',
    './_base_/default_runtime.py',
]

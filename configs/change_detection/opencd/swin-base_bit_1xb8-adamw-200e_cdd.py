# BIT on CDD (SVCD), Swin-B, with open-cd: the paper's experiment (arXiv 2304.09670),
# 1 GPU x 8 pairs, 200 epochs. F1 of the paper, from MillionAID's 200 epochs: 97.11, a mean
# over batches; here it is counted over all pixels of the test set. Normalised as in
# pre-training, where the paper's code fed 0 to 255.
#
#   python tools/dataset_converters/cdd.py DOWNLOAD --out data/cdd
#   python tools/train.py \
#       configs/change_detection/opencd/swin-base_bit_1xb8-adamw-200e_cdd.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/bit_swin_base.py',
    './_base_/datasets/cdd.py',
    './_base_/schedules/adamw_200e.py',
    './_base_/default_runtime.py',
]

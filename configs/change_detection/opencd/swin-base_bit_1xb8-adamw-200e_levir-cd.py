# BIT on LEVIR-CD, Swin-B, with open-cd: the settings of the paper's experiment
# on CDD (arXiv 2304.09670), 1 GPU x 8 pairs, 200 epochs. Normalised as in pre-training.
#
#   python tools/dataset_converters/levir_cd.py DOWNLOAD --out data/levir_cd
#   python tools/train.py \
#       configs/change_detection/opencd/swin-base_bit_1xb8-adamw-200e_levir-cd.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/bit_swin_base.py',
    './_base_/datasets/levir_cd.py',
    './_base_/schedules/adamw_200e.py',
    './_base_/default_runtime.py',
]

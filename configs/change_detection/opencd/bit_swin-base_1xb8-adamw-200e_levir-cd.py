# BIT with Swin-B on LEVIR-CD, 1 GPU x 8 pairs: the settings of the paper's experiment on CDD
# (arXiv 2304.09670).
_base_ = [
    './_base_/models/bit_swin-base.py', './_base_/datasets/levir_cd.py',
    './_base_/schedules/adamw_200e.py', './_base_/default_runtime.py'
]

# Siamese UPerNet with Swin-B on CDD (SVCD), 1 GPU x 8 pairs: the network and recipe of
# ../siamese-upernet_swin-base_1xb8-adamw-200e_cdd.py, built from open-cd's parts.
_base_ = [
    './_base_/models/siam-upernet_swin-base.py', './_base_/datasets/cdd.py',
    './_base_/schedules/adamw_200e.py', './_base_/default_runtime.py'
]

# Siamese UPerNet with ResNet-50 on CDD (SVCD), 1 GPU x 8 pairs: the network and recipe of
# ../siamese-upernet_r50_1xb8-sgd-200e_cdd.py, built from open-cd's parts.
_base_ = [
    './_base_/models/siam-upernet_r50.py', './_base_/datasets/cdd.py',
    '../_base_/schedules/sgd_200e.py', './_base_/default_runtime.py'
]

# Siamese UPerNet with ResNet-50 on LEVIR-CD, 1 GPU x 8 pairs: the network and recipe of
# ../siamese-upernet_r50_1xb8-sgd-200e_levir-cd.py, built from open-cd's parts.
_base_ = [
    './_base_/models/siam-upernet_r50.py', './_base_/datasets/levir_cd.py',
    '../_base_/schedules/sgd_200e.py', './_base_/default_runtime.py'
]

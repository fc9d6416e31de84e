# Siamese UPerNet with ResNet-50 on LEVIR-CD, 1 GPU x 8 pairs: optimiser, epochs and flips of the
# paper's experiment with BIT (arXiv 2304.09670), with mmseg alone.
_base_ = [
    './_base_/models/siamese-upernet_r50.py', './_base_/datasets/levir_cd.py',
    './_base_/schedules/sgd_200e.py', './_base_/default_runtime.py'
]

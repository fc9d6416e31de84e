# Siamese UPerNet with Swin-B on CDD (SVCD), 1 GPU x 8 pairs: optimiser, epochs and flips of the
# paper's experiment with BIT (arXiv 2304.09670), with mmseg alone.
_base_ = [
    './_base_/models/siamese-upernet_swin-base.py', './_base_/datasets/cdd.py',
    './_base_/schedules/adamw_200e.py', './_base_/default_runtime.py'
]

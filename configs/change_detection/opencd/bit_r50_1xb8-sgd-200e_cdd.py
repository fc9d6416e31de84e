# BIT with ResNet-50 on CDD (SVCD), 1 GPU x 8 pairs: the paper's experiment (arXiv 2304.09670).
# It reports an F1 of 96.95 (mean over batches) after 200 epochs on MillionAID.
_base_ = [
    './_base_/models/bit_r50.py', './_base_/datasets/cdd.py',
    '../_base_/schedules/sgd_200e.py', './_base_/default_runtime.py'
]

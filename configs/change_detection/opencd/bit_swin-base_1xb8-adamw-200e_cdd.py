# BIT with Swin-B on CDD (SVCD), 1 GPU x 8 pairs: the paper's experiment (arXiv 2304.09670).
# It reports an F1 of 97.11 (mean over batches) after 200 epochs on MillionAID.
_base_ = [
    './_base_/models/bit_swin-base.py', './_base_/datasets/cdd.py',
    './_base_/schedules/adamw_200e.py', './_base_/default_runtime.py'
]

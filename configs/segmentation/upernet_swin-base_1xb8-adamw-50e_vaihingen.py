# UPerNet with Swin-B on ISPRS Vaihingen, 1 GPU x 8 images: the paper's recipe (arXiv
# 2304.09670), which reports an mIoU of 80.01 after 200 epochs on MillionAID.
_base_ = [
    './_base_/models/upernet_swin-base.py', './_base_/datasets/vaihingen.py',
    './_base_/schedules/adamw_50e.py', './_base_/default_runtime.py'
]

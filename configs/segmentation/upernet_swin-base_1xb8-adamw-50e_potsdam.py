# UPerNet with Swin-B on ISPRS Potsdam, 1 GPU x 8 images: the paper's recipe (arXiv
# 2304.09670), which reports an mIoU of 88.36 after 200 epochs on MillionAID.
_base_ = [
    './_base_/models/upernet_swin-base.py', './_base_/datasets/potsdam.py',
    './_base_/schedules/adamw_50e.py', './_base_/default_runtime.py'
]

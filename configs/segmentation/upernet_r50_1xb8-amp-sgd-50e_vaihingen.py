# UPerNet with ResNet-50 on ISPRS Vaihingen, 1 GPU x 8 images: the paper's recipe (arXiv
# 2304.09670), which reports an mIoU of 79.44 after 200 epochs on MillionAID.
_base_ = [
    './_base_/models/upernet_r50.py', './_base_/datasets/vaihingen.py',
    './_base_/schedules/sgd_50e.py', './_base_/default_runtime.py'
]

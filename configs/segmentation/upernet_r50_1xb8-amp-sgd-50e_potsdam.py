# UPerNet with ResNet-50 on ISPRS Potsdam, 1 GPU x 8 images: the paper's recipe (arXiv
# 2304.09670), which reports an mIoU of 87.35 after 200 epochs on MillionAID.
_base_ = [
    './_base_/models/upernet_r50.py', './_base_/datasets/potsdam.py',
    './_base_/schedules/sgd_50e.py', './_base_/default_runtime.py'
]

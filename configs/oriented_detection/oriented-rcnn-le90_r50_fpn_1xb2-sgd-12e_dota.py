# Oriented R-CNN with ResNet-50 on DOTA v1.0, 1 GPU x 2 images: the paper's experiment (arXiv
# 2304.09670), trained on train and val and scored by DOTA's server. It reports 76.63 mAP.
_base_ = [
    './_base_/models/oriented-rcnn-le90_r50_fpn.py', './_base_/datasets/dota_submission.py',
    '../detection/_base_/schedules/sgd_12e.py', './_base_/default_runtime.py'
]

default_hooks = dict(checkpoint=dict(save_best=None))

# Faster R-CNN with ResNet-50 on DIOR, 1 GPU x 2 images; papers on DIOR report mAP_50. Schedule
# and rate are those of the paper's experiments on DOTA (arXiv 2304.09670; it has no DIOR).
_base_ = [
    './_base_/models/faster-rcnn_r50_fpn.py', './_base_/datasets/dior.py',
    './_base_/schedules/sgd_12e.py', './_base_/default_runtime.py'
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=20)))
# the test images serve as validation images: the last checkpoint counts, none is selected
default_hooks = dict(checkpoint=dict(save_best=None))

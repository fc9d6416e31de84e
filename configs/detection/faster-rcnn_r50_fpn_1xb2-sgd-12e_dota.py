# Faster R-CNN with ResNet-50 on DOTA v1.0 with horizontal boxes, 1 GPU x 2 images. Schedule and
# rate are those of the paper's experiments with oriented boxes (arXiv 2304.09670).
_base_ = [
    './_base_/models/faster-rcnn_r50_fpn.py', './_base_/datasets/dota.py',
    './_base_/schedules/sgd_12e.py', './_base_/default_runtime.py'
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=15)))

# DIOR with Swin-B; everything else, data and launch as in
# resnet50_faster-rcnn-fpn_1xb2-sgd-12e_dior.py. AdamW, rate and drop path are those of
# CMID's experiments on DOTA (arXiv 2304.09670), for 1 GPU x 2 images.
_base_ = [
    './_base_/models/faster-rcnn_swin-base_fpn.py',
    './_base_/datasets/dior.py',
    './_base_/schedules/adamw_12e.py',
    './_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=20)))
default_hooks = dict(checkpoint=dict(save_best=None))

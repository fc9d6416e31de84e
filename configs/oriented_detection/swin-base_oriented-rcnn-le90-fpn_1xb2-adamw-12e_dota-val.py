# Oriented R-CNN with Swin-B on DOTA v1.0, trained on train, scored on val; everything
# else, data and launch as in resnet50_oriented-rcnn-le90-fpn_1xb2-sgd-12e_dota-val.py.
_base_ = [
    './_base_/models/oriented-rcnn_swin-base_fpn.py',
    './_base_/datasets/dota_text.py',
    './_base_/schedules/adamw_12e.py',
    './_base_/default_runtime.py',
]

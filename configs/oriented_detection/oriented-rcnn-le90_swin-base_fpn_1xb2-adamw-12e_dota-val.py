# Oriented R-CNN with Swin-B on DOTA v1.0, 1 GPU x 2 images, trained on train and scored on
# the tiles of val: mAP at an overlap of 0.5. The paper's setting is in
# oriented-rcnn-le90_swin-base_fpn_1xb2-adamw-12e_dota.py.
_base_ = [
    './_base_/models/oriented-rcnn-le90_swin-base_fpn.py', './_base_/datasets/dota_text.py',
    '../detection/_base_/schedules/adamw_12e.py', './_base_/default_runtime.py'
]

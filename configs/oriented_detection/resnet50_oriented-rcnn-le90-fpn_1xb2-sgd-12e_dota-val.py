# Oriented R-CNN on DOTA v1.0, trained on train, scored on val on this machine: mean AP at
# an overlap of 0.5 over single tiles. For the published setting see
# resnet50_oriented-rcnn-le90-fpn_1xb2-sgd-12e_dota.py.
#
#   python tools/dataset_converters/dota.py DOWNLOAD --out data/dota
#   tools/dist_train.sh \
#       configs/oriented_detection/resnet50_oriented-rcnn-le90-fpn_1xb2-sgd-12e_dota-val.py 1 \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/oriented-rcnn_resnet50_fpn.py',
    './_base_/datasets/dota_text.py',
    './_base_/schedules/sgd_12e.py',
    './_base_/default_runtime.py',
]

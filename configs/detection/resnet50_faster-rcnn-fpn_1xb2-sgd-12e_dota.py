# DOTA v1.0 with horizontal boxes, trained on train, scored on val: COCO's average precision.
#
# Recipe: 12 epochs, rate and schedule of CMID's experiments on DOTA (arXiv 2304.09670),
# whose own numbers are for oriented boxes: configs/oriented_detection. The rate belongs to
# 1 GPU x 2 images (--auto-scale-lr for others). Normalised as in pre-training, where the
# paper used ImageNet's mean and deviation.
#
#   python tools/dataset_converters/dota.py DOWNLOAD --out data/dota
#   tools/dist_train.sh configs/detection/resnet50_faster-rcnn-fpn_1xb2-sgd-12e_dota.py 1 \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/faster-rcnn_resnet50_fpn.py',
    './_base_/datasets/dota.py',
    './_base_/schedules/sgd_12e.py',
    './_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=15)))

# DIOR, trained on its train and val lists, scored on its test list: COCO's average
# precision; papers on DIOR report mAP_50.
#
# The schedule is that of CMID's experiments on DOTA (arXiv 2304.09670; the paper has no
# DIOR), for 1 GPU x 2 images. The test list serves as validation too: no checkpoint is
# chosen by it but the last counts.
#
#   python tools/dataset_converters/dior.py DOWNLOAD --out data/dior
#   tools/dist_train.sh configs/detection/resnet50_faster-rcnn-fpn_1xb2-sgd-12e_dior.py 1 \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/faster-rcnn_resnet50_fpn.py',
    './_base_/datasets/dior.py',
    './_base_/schedules/sgd_12e.py',
    './_base_/default_runtime.py',
]

model = dict(roi_head=dict(bbox_head=dict(num_classes=20)))
default_hooks = dict(checkpoint=dict(save_best=None))

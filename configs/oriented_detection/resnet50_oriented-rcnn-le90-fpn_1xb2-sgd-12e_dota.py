# The paper's detection experiment (arXiv 2304.09670): Oriented R-CNN on DOTA v1.0, tiles
# of 1024 pixels at one scale, trained on train and val, scored by DOTA's server on test.
# Published: 76.63 mAP with CMID's ResNet-50.
#
# 12 epochs, 1 GPU x 2 images (--auto-scale-lr for others). Normalised as in pre-training,
# where the paper used ImageNet's mean and deviation.
#
#   python tools/dataset_converters/dota.py DOWNLOAD --out data/dota
#   tools/dist_train.sh \
#       configs/oriented_detection/resnet50_oriented-rcnn-le90-fpn_1xb2-sgd-12e_dota.py 1 \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
#   python tools/test.py CONFIG CHECKPOINT    # work_dirs/dota_submission/Task1/Task1.zip
_base_ = [
    './_base_/models/oriented-rcnn_resnet50_fpn.py',
    './_base_/datasets/dota_submission.py',
    './_base_/schedules/sgd_12e.py',
    './_base_/default_runtime.py',
]
default_hooks = dict(checkpoint=dict(save_best=None))

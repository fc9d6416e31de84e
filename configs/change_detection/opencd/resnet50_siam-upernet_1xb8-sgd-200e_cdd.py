# Siamese UPerNet on CDD (SVCD), ResNet-50, with open-cd: optimiser, epochs and flips of
# the paper's experiment with BIT (arXiv 2304.09670), 1 GPU x 8 pairs, 200 epochs. The same
# network as ../resnet50_siamese-upernet_1xb8-sgd-200e_cdd.py, in open-cd's parts.
#
#   python tools/dataset_converters/cdd.py DOWNLOAD --out data/cdd
#   python tools/train.py \
#       configs/change_detection/opencd/resnet50_siam-upernet_1xb8-sgd-200e_cdd.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/siam_upernet_resnet50.py',
    './_base_/datasets/cdd.py',
    './_base_/schedules/sgd_200e.py',
    './_base_/default_runtime.py',
]

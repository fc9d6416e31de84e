# Your own images with oriented boxes in COCO json files: one quadrilateral, x and y of four
# corners, in the `segmentation` of each annotation. Change the two lines below; the tree is
#
#   DATA_ROOT/{train,val}/...                  images, in subfolders too
#   DATA_ROOT/annotations/{train,val}.json     file_name relative to train/ or val/
#
# Category ids are free; the names must be those below, in the order of the file. Images
# are resized to 1024 pixels a side at most: cut large ones into tiles before. Statistics
# of the checkpoint's pre-training belong into model.data_preprocessor (mean, std).
#
#   python tools/train.py \
#       configs/oriented_detection/resnet50_oriented-rcnn-le90-fpn_1xb2-sgd-12e_folder.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/oriented-rcnn_resnet50_fpn.py',
    './_base_/datasets/coco_quads.py',
    './_base_/schedules/sgd_12e.py',
    './_base_/default_runtime.py',
]

data_root = 'data/boxes/'
classes = ('vehicle', 'ship', 'plane', 'storage_tank', 'building')

model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes))))
train_dataloader = dict(
    dataset=dict(data_root=data_root, metainfo=dict(classes=classes)))
val_dataloader = dict(
    dataset=dict(data_root=data_root, metainfo=dict(classes=classes)))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(save_best='r_coco/bbox_mAP'))

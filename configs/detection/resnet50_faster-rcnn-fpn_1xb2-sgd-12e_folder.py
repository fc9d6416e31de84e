# Your own images with boxes in COCO json files. Change the two lines below; the tree is
#
#   DATA_ROOT/{train,val}/...                  images, in subfolders too
#   DATA_ROOT/annotations/{train,val}.json     file_name relative to train/ or val/
#
# Category ids are free; the names must be those below, in the order of the file. Images
# are resized to 1024 pixels a side at most: cut large ones into tiles before. Statistics
# of the checkpoint's pre-training belong into model.data_preprocessor (mean, std).
#
#   python tools/train.py configs/detection/resnet50_faster-rcnn-fpn_1xb2-sgd-12e_folder.py \
#       --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/faster-rcnn_resnet50_fpn.py',
    './_base_/datasets/coco_boxes.py',
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

# Your own images with oriented boxes in text files as DOTA has them, one line a box:
# x1 y1 x2 y2 x3 y3 x4 y4 class difficult. Change the lines below; the tree is
#
#   DATA_ROOT/{train,val}/images/NAME.png      or another ending: image_suffix
#   DATA_ROOT/{train,val}/annfiles/NAME.txt    empty for an image without boxes
#
#   python tools/train.py CONFIG --cfg-options model.backbone.init_cfg.checkpoint=backbone.pth
_base_ = [
    './_base_/models/oriented-rcnn_resnet50_fpn.py',
    './_base_/datasets/dota_text.py',
    './_base_/schedules/sgd_12e.py',
    './_base_/default_runtime.py',
]

data_root = 'data/boxes/'
image_suffix = 'png'
classes = ('vehicle', 'ship', 'plane', 'storage_tank', 'building')

own = dict(data_root=data_root, img_suffix=image_suffix, metainfo=dict(classes=classes))
model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes))))
train_dataloader = dict(dataset=own)
val_dataloader = dict(dataset=own)
test_dataloader = val_dataloader

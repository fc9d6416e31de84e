# Your own images with oriented boxes in text files like DOTA's, one box per line:
# x1 y1 x2 y2 x3 y3 x4 y4 class difficult. Set the values below _base_; the tree is
#
#   DATA_ROOT/{train,val}/images/NAME.png      or another ending: image_suffix
#   DATA_ROOT/{train,val}/annfiles/NAME.txt    empty for an image without boxes
_base_ = [
    './_base_/models/oriented-rcnn-le90_r50_fpn.py', './_base_/datasets/dota_text.py',
    '../detection/_base_/schedules/sgd_12e.py', './_base_/default_runtime.py'
]

data_root = 'data/boxes/'
image_suffix = 'png'
classes = ('vehicle', 'ship', 'plane', 'storage_tank', 'building')

model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes))))
dataset = dict(
    data_root=data_root, img_suffix=image_suffix, metainfo=dict(classes=classes))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader

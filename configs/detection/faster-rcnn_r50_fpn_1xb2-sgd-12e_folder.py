# Your own images with boxes in COCO json files. Set data_root and classes; the tree is
#
#   DATA_ROOT/{train,val}/...                  images, in subfolders too
#   DATA_ROOT/annotations/{train,val}.json     file_name relative to train/ or val/
#
# Category ids are free; classes has the names in the order of the file. Images are resized to
# at most 1024 pixels per side: cut large ones into tiles first. Set the statistics of the
# checkpoint's pre-training in model.data_preprocessor (mean, std).
_base_ = [
    './_base_/models/faster-rcnn_r50_fpn.py', './_base_/datasets/coco_boxes.py',
    './_base_/schedules/sgd_12e.py', './_base_/default_runtime.py'
]

data_root = 'data/boxes/'
classes = ('vehicle', 'ship', 'plane', 'storage_tank', 'building')

model = dict(roi_head=dict(bbox_head=dict(num_classes=len(classes))))
dataset = dict(data_root=data_root, metainfo=dict(classes=classes))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader

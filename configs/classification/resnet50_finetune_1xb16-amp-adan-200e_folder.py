# ResNet-50 fine-tuned on your own images: set data_root and num_classes.
#
#   data_root/train/CLASS/IMAGE and data_root/val/CLASS/IMAGE
#
# If the class folders lie directly in data_root, tools/dataset_converters/split_dataset.py
# data_root writes train.txt and val.txt; set them as ann_file and data_prefix to ''.
_base_ = [
    './_base_/models/resnet50.py', './_base_/protocols/finetune.py',
    './_base_/default_runtime.py'
]

data_root = 'data/my_images'
num_classes = 10

train_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix='train', ann_file=''))
val_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix='val', ann_file=''))
test_dataloader = val_dataloader

model = dict(
    head=dict(num_classes=num_classes),
    # mean and std: those in `meta` of your checkpoint
    data_preprocessor=dict(
        num_classes=num_classes,
        mean=[86.182, 91.928, 85.374],
        std=[34.655, 34.476, 35.879]))

# Swin-B fine-tuned on your own images: set data_root and num_classes. The folder tree is that
# of resnet50_finetune_1xb16-amp-adan-200e_folder.py.
_base_ = [
    './_base_/models/swin-base.py', './_base_/protocols/finetune.py',
    './_base_/default_runtime.py'
]

data_root = 'data/my_images'
num_classes = 10

train_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix='train', ann_file=''))
val_dataloader = dict(
    dataset=dict(data_root=data_root, data_prefix='val', ann_file=''))
test_dataloader = val_dataloader

# mean and std: those in `meta` of your checkpoint
model = dict(
    head=dict(num_classes=num_classes),
    data_preprocessor=dict(
        num_classes=num_classes,
        mean=[86.182, 91.928, 85.374],
        std=[34.655, 34.476, 35.879]))

# DOTA v1.0 as tools/dataset_converters/dota.py writes it, with horizontal boxes. The boxes of
# the test images are not public, so the configs train on train and score val.
_base_ = './coco_boxes.py'

dataset = dict(
    data_root='data/dota/',
    metainfo=dict(classes=(
        'plane', 'baseball-diamond', 'bridge', 'ground-track-field', 'small-vehicle',
        'large-vehicle', 'ship', 'tennis-court', 'basketball-court', 'storage-tank',
        'soccer-ball-field', 'roundabout', 'harbor', 'swimming-pool', 'helicopter')))
train_dataloader = dict(dataset=dict(dataset, data_prefix=dict(img='train/images/')))
val_dataloader = dict(dataset=dict(dataset, data_prefix=dict(img='val/images/')))
test_dataloader = val_dataloader

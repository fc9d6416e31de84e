# DOTA v1.0 as tools/dataset_converters/dota.py leaves it, with horizontal boxes. The test
# images have no public boxes: train on train, score on val.
_base_ = './coco_boxes.py'

data_root = 'data/dota/'
metainfo = dict(classes=(
    'plane', 'baseball-diamond', 'bridge', 'ground-track-field', 'small-vehicle',
    'large-vehicle', 'ship', 'tennis-court', 'basketball-court', 'storage-tank',
    'soccer-ball-field', 'roundabout', 'harbor', 'swimming-pool', 'helicopter'))

train_dataloader = dict(
    dataset=dict(
        data_root=data_root, metainfo=metainfo, data_prefix=dict(img='train/images/')))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root, metainfo=metainfo, data_prefix=dict(img='val/images/')))
test_dataloader = val_dataloader

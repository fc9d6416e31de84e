# DIOR as tools/dataset_converters/dior.py writes it: 11,725 images for training and
# validation, 11,738 for testing, all of 800 x 800.
_base_ = './coco_boxes.py'

train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (800, 800)

dataset = dict(
    data_root='data/dior/',
    data_prefix=dict(img='images/'),
    metainfo=dict(classes=(
        'airplane', 'airport', 'baseballfield', 'basketballcourt', 'bridge', 'chimney',
        'Expressway-Service-area', 'Expressway-toll-station', 'dam', 'golffield',
        'groundtrackfield', 'harbor', 'overpass', 'ship', 'stadium', 'storagetank',
        'tenniscourt', 'trainstation', 'vehicle', 'windmill')))
train_dataloader = dict(
    dataset=dict(dataset, ann_file='annotations/trainval.json', pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(dataset, ann_file='annotations/test.json', pipeline=test_pipeline))
test_dataloader = val_dataloader

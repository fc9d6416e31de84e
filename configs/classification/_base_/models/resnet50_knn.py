# ResNet-50 as a feature extractor; tools/test.py loads the exported backbone itself.
_base_ = './resnet50.py'

model = dict(
    backbone=dict(init_cfg=None),
    head=dict(_delete_=True, type='FeatureHead'),
    train_cfg=None)

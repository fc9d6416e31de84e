# ViT-B/16 as a feature extractor; tools/test.py loads the exported backbone itself.
_base_ = './vit-base.py'

model = dict(
    backbone=dict(init_cfg=None),
    head=dict(_delete_=True, type='FeatureHead'),
    train_cfg=None)

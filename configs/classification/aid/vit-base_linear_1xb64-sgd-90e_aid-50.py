# Linear probe of a frozen ViT-B/16 on AID (50 % of each class).
_base_ = ['../_base_/models/vit-base_linear.py', '../_base_/recipes/linear_aid-50.py']

model = dict(head=dict(num_classes=30), data_preprocessor=dict(num_classes=30))

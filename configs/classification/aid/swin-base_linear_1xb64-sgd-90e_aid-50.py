# Linear probe of a frozen Swin-B on AID (50 % of each class).
_base_ = ['../_base_/models/swin-base_linear.py', '../_base_/recipes/linear_aid-50.py']

model = dict(head=dict(num_classes=30), data_preprocessor=dict(num_classes=30))

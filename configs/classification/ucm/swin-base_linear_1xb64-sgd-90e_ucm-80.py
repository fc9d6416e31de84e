# Linear probe of a frozen Swin-B on UC Merced (80 % of each class).
_base_ = ['../_base_/models/swin-base_linear.py', '../_base_/recipes/linear_ucm-80.py']

model = dict(head=dict(num_classes=21), data_preprocessor=dict(num_classes=21))

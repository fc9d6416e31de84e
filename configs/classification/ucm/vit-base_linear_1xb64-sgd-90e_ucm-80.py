# Linear probe of a frozen ViT-B/16 on UC Merced (80 % of each class).
_base_ = ['../_base_/models/vit-base_linear.py', '../_base_/recipes/linear_ucm-80.py']

model = dict(head=dict(num_classes=21), data_preprocessor=dict(num_classes=21))

# Linear probe of a frozen ResNet-50 on UC Merced (80 % of each class).
_base_ = ['../_base_/models/resnet50_linear.py', '../_base_/recipes/linear_ucm-80.py']

model = dict(head=dict(num_classes=21), data_preprocessor=dict(num_classes=21))

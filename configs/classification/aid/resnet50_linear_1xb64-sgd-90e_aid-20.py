# Linear probe of a frozen ResNet-50 on AID (20 % of each class).
_base_ = ['../_base_/models/resnet50_linear.py', '../_base_/recipes/linear_aid-20.py']

model = dict(head=dict(num_classes=30), data_preprocessor=dict(num_classes=30))

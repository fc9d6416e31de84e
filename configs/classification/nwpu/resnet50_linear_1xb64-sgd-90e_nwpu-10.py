# Linear probe of a frozen ResNet-50 on NWPU-RESISC45 (10 % of each class).
_base_ = ['../_base_/models/resnet50_linear.py', '../_base_/recipes/linear_nwpu-10.py']

model = dict(head=dict(num_classes=45), data_preprocessor=dict(num_classes=45))

# Linear probe of a frozen ViT-B/16 on NWPU-RESISC45 (20 % of each class).
_base_ = ['../_base_/models/vit-base_linear.py', '../_base_/recipes/linear_nwpu-20.py']

model = dict(head=dict(num_classes=45), data_preprocessor=dict(num_classes=45))

# Swin-B fine-tuned on UC Merced (80 % of each class); the paper reports 99.48 %.
_base_ = ['../_base_/models/swin-base.py', '../_base_/recipes/finetune_ucm-80.py']

model = dict(head=dict(num_classes=21), data_preprocessor=dict(num_classes=21))

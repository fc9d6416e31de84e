# ResNet-50 fine-tuned on UC Merced (80 % of each class); the paper reports 99.22 %.
_base_ = ['../_base_/models/resnet50.py', '../_base_/recipes/finetune_ucm-80.py']

model = dict(head=dict(num_classes=21), data_preprocessor=dict(num_classes=21))

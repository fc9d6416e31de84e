# ResNet-50 fine-tuned on AID (50 % of each class).
_base_ = ['../_base_/models/resnet50.py', '../_base_/recipes/finetune_aid-50.py']

model = dict(head=dict(num_classes=30), data_preprocessor=dict(num_classes=30))

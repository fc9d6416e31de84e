# ViT-B/16 fine-tuned on UC Merced (80 % of each class).
_base_ = ['../_base_/models/vit-base.py', '../_base_/recipes/finetune_ucm-80.py']

model = dict(head=dict(num_classes=21), data_preprocessor=dict(num_classes=21))

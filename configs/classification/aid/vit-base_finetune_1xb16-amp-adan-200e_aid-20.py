# ViT-B/16 fine-tuned on AID (20 % of each class).
_base_ = ['../_base_/models/vit-base.py', '../_base_/recipes/finetune_aid-20.py']

model = dict(head=dict(num_classes=30), data_preprocessor=dict(num_classes=30))

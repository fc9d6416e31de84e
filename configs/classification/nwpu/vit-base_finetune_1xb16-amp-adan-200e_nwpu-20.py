# ViT-B/16 fine-tuned on NWPU-RESISC45 (20 % of each class).
_base_ = ['../_base_/models/vit-base.py', '../_base_/recipes/finetune_nwpu-20.py']

model = dict(head=dict(num_classes=45), data_preprocessor=dict(num_classes=45))

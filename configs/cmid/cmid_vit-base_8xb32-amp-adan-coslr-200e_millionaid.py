# CMID, ViT-B/16, MillionAID, 200 epochs. The paper has no ViT: the recipe is Swin-B's.
_base_ = [
    '../_base_/models/cmid_vit_base.py',
    '../_base_/datasets/image_folder_224.py',
    '../_base_/schedules/cmid_adan_200e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(data_root='data/millionaid/test'))

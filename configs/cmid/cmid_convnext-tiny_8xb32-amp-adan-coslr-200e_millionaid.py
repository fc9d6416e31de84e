# CMID, ConvNeXt-T, MillionAID, 200 epochs. The paper has no ConvNeXt: the recipe is Swin-B's.
_base_ = [
    '../_base_/models/cmid_convnext_tiny.py',
    '../_base_/datasets/image_folder_224.py',
    '../_base_/schedules/cmid_adan_200e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(data_root='data/millionaid/test'))

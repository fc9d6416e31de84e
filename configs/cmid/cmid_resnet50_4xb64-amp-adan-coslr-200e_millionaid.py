# CMID, ResNet-50, MillionAID (the unlabelled test split), 200 epochs. The paper's recipe
# (arXiv 2304.09670): 4 processes x 64 images = 256, Adan 4e-3, 10 epochs of warm-up.
#
#   tools/dist_train.sh configs/cmid/cmid_resnet50_4xb64-amp-adan-coslr-200e_millionaid.py 4
_base_ = [
    '../_base_/models/cmid_resnet50.py',
    '../_base_/datasets/image_folder_224.py',
    '../_base_/schedules/cmid_adan_200e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=64, dataset=dict(data_root='data/millionaid/test'))

# CMID, Swin-B, MillionAID (the unlabelled test split), 200 epochs. The paper's recipe
# (arXiv 2304.09670): total batch 256, Adan 4e-3, 10 epochs of warm-up.
#
#   tools/dist_train.sh configs/cmid/cmid_swin_pretrain.py 8
#
# 8 processes x 32 images = 256; 8 x 16 with `optim_wrapper.accumulative_counts=2` is the
# same batch in half the memory.
_base_ = [
    '../_base_/models/cmid_swin_base.py',
    '../_base_/datasets/image_folder_224.py',
    '../_base_/schedules/cmid_adan_200e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(data_root='data/millionaid/test'))

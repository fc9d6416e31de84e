# k-NN accuracy of a Swin-B on NWPU-RESISC45: 3,150 images (10 % of each class)
# vote, 28,350 are scored; nothing is trained. With an exported backbone:
#
#   python tools/test.py configs/classification/nwpu/swin-base_knn_nwpu-10.py backbone.pth
_base_ = [
    '../_base_/models/swin-base_knn.py', '../_base_/datasets/nwpu.py',
    '../_base_/protocols/knn.py', '../_base_/default_runtime.py'
]

test_dataloader = dict(
    dataset=dict(datasets=[
        dict(_base_.train_10, split='bank', pipeline=_base_.test_pipeline),
        dict(_base_.test_10, split='query', pipeline=_base_.test_pipeline),
    ]))
val_dataloader = test_dataloader

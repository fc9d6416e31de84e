# k-NN accuracy of a Swin-B on UC Merced: 1,680 images (80 % of each class)
# vote, 420 are scored; nothing is trained. With an exported backbone:
#
#   python tools/test.py configs/classification/ucm/swin-base_knn_ucm-80.py backbone.pth
_base_ = [
    '../_base_/models/swin-base_knn.py', '../_base_/datasets/ucm.py',
    '../_base_/protocols/knn.py', '../_base_/default_runtime.py'
]

test_dataloader = dict(
    dataset=dict(datasets=[
        dict(_base_.train_80, split='bank', pipeline=_base_.test_pipeline),
        dict(_base_.test_80, split='query', pipeline=_base_.test_pipeline),
    ]))
val_dataloader = test_dataloader

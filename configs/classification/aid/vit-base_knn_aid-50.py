# k-NN accuracy of a ViT-B/16 on AID: 5,000 images (50 % of each class)
# vote, 5,000 are scored; nothing is trained. With an exported backbone:
#
#   python tools/test.py configs/classification/aid/vit-base_knn_aid-50.py backbone.pth
_base_ = [
    '../_base_/models/vit-base_knn.py', '../_base_/datasets/aid.py',
    '../_base_/protocols/knn.py', '../_base_/default_runtime.py'
]

test_dataloader = dict(
    dataset=dict(datasets=[
        dict(_base_.train_50, split='bank', pipeline=_base_.test_pipeline),
        dict(_base_.test_50, split='query', pipeline=_base_.test_pipeline),
    ]))
val_dataloader = test_dataloader

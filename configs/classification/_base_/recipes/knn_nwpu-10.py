# k-NN on NWPU-RESISC45: 3,150 images (10 % of each class) form the gallery, 28,350 are
# queries.
_base_ = ['../datasets/nwpu.py', '../protocols/knn.py', '../default_runtime.py']

test_dataloader = dict(
    dataset=dict(datasets=[
        dict(_base_.train_10, split='gallery', pipeline=_base_.test_pipeline),
        dict(_base_.test_10, split='query', pipeline=_base_.test_pipeline),
    ]))
val_dataloader = test_dataloader

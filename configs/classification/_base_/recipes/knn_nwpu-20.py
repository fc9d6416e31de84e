# k-NN on NWPU-RESISC45: 6,300 images (20 % of each class) form the gallery, 25,200 are
# queries.
_base_ = ['../datasets/nwpu.py', '../protocols/knn.py', '../default_runtime.py']

test_dataloader = dict(
    dataset=dict(datasets=[
        dict(_base_.train_20, split='gallery', pipeline=_base_.test_pipeline),
        dict(_base_.test_20, split='query', pipeline=_base_.test_pipeline),
    ]))
val_dataloader = test_dataloader

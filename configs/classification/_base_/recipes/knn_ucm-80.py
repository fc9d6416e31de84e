# k-NN on UC Merced: 1,680 images (80 % of each class) form the gallery, 420 are
# queries.
_base_ = ['../datasets/ucm.py', '../protocols/knn.py', '../default_runtime.py']

test_dataloader = dict(
    dataset=dict(datasets=[
        dict(_base_.train_80, split='gallery', pipeline=_base_.test_pipeline),
        dict(_base_.test_80, split='query', pipeline=_base_.test_pipeline),
    ]))
val_dataloader = test_dataloader

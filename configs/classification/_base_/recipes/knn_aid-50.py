# k-NN on AID: 5,000 images (50 % of each class) form the gallery, 5,000 are
# queries.
_base_ = ['../datasets/aid.py', '../protocols/knn.py', '../default_runtime.py']

test_dataloader = dict(
    dataset=dict(datasets=[
        dict(_base_.train_50, split='gallery', pipeline=_base_.test_pipeline),
        dict(_base_.test_50, split='query', pipeline=_base_.test_pipeline),
    ]))
val_dataloader = test_dataloader

# Linear probe on AID: 2,000 images (20 % of each class) for training, 8,000 for
# testing, 31 iterations per epoch.
_base_ = ['../datasets/aid.py', '../protocols/linear.py', '../default_runtime.py']

train_dataloader = dict(dataset=_base_.train_20)
val_dataloader = dict(dataset=_base_.test_20)
test_dataloader = val_dataloader

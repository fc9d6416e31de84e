# Linear probe on AID: 5,000 images (50 % of each class) for training, 5,000 for
# testing, 78 iterations per epoch.
_base_ = ['../datasets/aid.py', '../protocols/linear.py', '../default_runtime.py']

train_dataloader = dict(dataset=_base_.train_50)
val_dataloader = dict(dataset=_base_.test_50)
test_dataloader = val_dataloader

# Linear probe on UC Merced: 1,680 images (80 % of each class) for training, 420 for
# testing, 26 iterations per epoch.
_base_ = ['../datasets/ucm.py', '../protocols/linear.py', '../default_runtime.py']

train_dataloader = dict(dataset=_base_.train_80)
val_dataloader = dict(dataset=_base_.test_80)
test_dataloader = val_dataloader

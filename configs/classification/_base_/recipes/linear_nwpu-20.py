# Linear probe on NWPU-RESISC45: 6,300 images (20 % of each class) for training, 25,200 for
# testing, 98 iterations per epoch.
_base_ = ['../datasets/nwpu.py', '../protocols/linear.py', '../default_runtime.py']

train_dataloader = dict(dataset=_base_.train_20)
val_dataloader = dict(dataset=_base_.test_20)
test_dataloader = val_dataloader

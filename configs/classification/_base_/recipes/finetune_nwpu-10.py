# Fine-tuning on NWPU-RESISC45: 3,150 images (10 % of each class) for training, 28,350 for
# testing, 196 iterations per epoch.
_base_ = ['../datasets/nwpu.py', '../protocols/finetune.py', '../default_runtime.py']

train_dataloader = dict(dataset=_base_.train_10)
val_dataloader = dict(dataset=_base_.test_10)
test_dataloader = val_dataloader

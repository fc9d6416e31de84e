# Fine-tuning on UC Merced: 1,680 images (80 % of each class) for training, 420 for
# testing, 105 iterations per epoch.
_base_ = ['../datasets/ucm.py', '../protocols/finetune.py', '../default_runtime.py']

train_dataloader = dict(dataset=_base_.train_80)
val_dataloader = dict(dataset=_base_.test_80)
test_dataloader = val_dataloader

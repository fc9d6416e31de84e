"""Config of toy_project.py."""
custom_imports = dict(imports=['cmid_mm', 'toy_project'], allow_failed_imports=False)
default_scope = 'mmpretrain'
model = dict(type='ToyModel')
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(type='ToyData'),
                        sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader = train_dataloader
test_evaluator = val_evaluator = dict(type='ToyMetric')
train_cfg = dict(by_epoch=True, max_epochs=2)
val_cfg = test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))

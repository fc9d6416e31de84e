optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.002, momentum=0.99, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=8, enable=False)

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# the rate of epoch e is multiplied by 1 - e / 201; PolyLR reaches its end one step early
param_scheduler = [
    dict(type='PolyLR', power=1.0, eta_min=0.0, begin=0, end=202, by_epoch=True)
]

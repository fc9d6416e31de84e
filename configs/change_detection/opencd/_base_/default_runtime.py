_base_ = '../../../_base_/runtime.py'

default_scope = 'opencd'

default_hooks = dict(
    # iterations before the backbone is trained
    freeze_backbone=dict(type='mmpretrain.FreezeBackboneHook', iters=0),
    checkpoint=dict(
        type='CheckpointHook',
        interval=10,
        max_keep_ckpts=2,
        save_best='change/f1',
        rule='greater'),
    visualization=dict(type='CDVisualizationHook', img_shape=(256, 256, 3)))

visualizer = dict(
    type='CDLocalVisualizer',
    vis_backends=[dict(type='CDLocalVisBackend')],
    name='visualizer',
    alpha=1.0)
log_processor = dict(by_epoch=True)

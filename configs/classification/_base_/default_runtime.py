_base_ = '../../_base_/runtime.py'

default_scope = 'mmpretrain'

default_hooks = dict(
    # iterations before the backbone is trained
    freeze_backbone=dict(type='mmpretrain.FreezeBackboneHook', iters=0),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1, save_best='auto'),
    visualization=dict(type='VisualizationHook', enable=False))

visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])

_base_ = '../../_base_/runtime.py'

custom_imports = dict(imports=['cmid_mm', 'cmid_mm.models.segmentors'])
default_scope = 'mmseg'

default_hooks = dict(
    # iterations before the backbone is trained
    freeze_backbone=dict(type='mmpretrain.FreezeBackboneHook', iters=0),
    checkpoint=dict(
        type='CheckpointHook', interval=5, max_keep_ckpts=2, save_best='mIoU'),
    visualization=dict(type='SegVisualizationHook'))

visualizer = dict(
    type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
log_processor = dict(by_epoch=True)

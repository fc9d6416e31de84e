_base_ = '../../_base_/runtime.py'

default_scope = 'mmdet'

default_hooks = dict(
    # iterations before the backbone is trained
    freeze_backbone=dict(type='mmpretrain.FreezeBackboneHook', iters=0),
    checkpoint=dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=2, save_best='coco/bbox_mAP'),
    visualization=dict(type='DetVisualizationHook'))

# images differ in size
env_cfg = dict(cudnn_benchmark=False)
visualizer = dict(
    type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)

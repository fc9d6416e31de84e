_base_ = '../../detection/_base_/default_runtime.py'

default_scope = 'mmrotate'

default_hooks = dict(
    checkpoint=dict(save_best='dota/mAP'),
    visualization=dict(type='mmdet.DetVisualizationHook'))
visualizer = dict(type='RotLocalVisualizer')

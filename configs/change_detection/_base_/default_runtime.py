_base_ = '../../segmentation/_base_/default_runtime.py'

default_hooks = dict(
    checkpoint=dict(interval=10, save_best='change/f1', rule='greater'))

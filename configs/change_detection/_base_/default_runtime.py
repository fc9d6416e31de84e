_base_ = '../../segmentation/_base_/default_runtime.py'

custom_imports = dict(imports=['cmid_mm', 'cmid_mm.models.segmentors'])

default_hooks = dict(
    checkpoint=dict(interval=10, save_best='change/f1', rule='greater'))

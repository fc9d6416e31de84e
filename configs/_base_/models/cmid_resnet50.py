_base_ = './cmid.py'

model = dict(
    backbone=dict(type='ResNet', depth=50),
    # published: batch norm in the dense projector where the backbone has it, else none
    dense_projector=dict(norm_cfg=dict(type='BN1d')))
# batch norm sees the views of all processes
sync_bn = 'torch'

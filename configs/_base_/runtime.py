# What every training has in common, pre-training and downstream tasks alike.
custom_imports = dict(imports=['cmid_mm'], allow_failed_imports=False)
# refuses a loader without a batch; leaves batch norm unchanged on CPUs
runner_type = 'CMIDRunner'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
custom_hooks = [dict(type='mmpretrain.PreflightHook')]

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
randomness = dict(seed=322)
log_level = 'INFO'
load_from = None
resume = False

# What every CMID pre-training has in common.
default_scope = 'mmpretrain'
custom_imports = dict(imports=['cmid_mm'], allow_failed_imports=False)
runner_type = 'CMIDRunner'

default_hooks = dict(
    runtime_info=dict(type='DeferredRuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # set minutes=30 to save within long epochs too
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='VisualizationHook', enable=False),
    broken_images=dict(type='BrokenImagesHook', max_share=0.1),
    step_seed=dict(type='StepSeedHook'),
    finite_step=dict(type='FiniteStepHook'),
    collapse_watch=dict(type='CollapseWatchHook'),
    progress=dict(type='ProgressHook'),
    pictures=dict(type='PicturesHook', interval=10, num_images=4),
    # epochs between two looks, 0 for none; data_root: class folders, else test_dataloader's
    probe=dict(type='ProbeHook', interval=0, data_root=None))
custom_hooks = [
    dict(type='CMIDTeacherMomentumHook', base_momentum=0.996),
    dict(type='CMIDTeacherTemperatureHook', start=0.04, end=0.07, warmup_epochs=50),
    dict(type='FirstSampleHook'),
    dict(type='TrainingReportHook'),
    dict(type='CheckpointGuardHook'),
    dict(type='MeasureStatisticsHook'),
]

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
# the queue and the statistics of each process are equal by construction: nothing to send;
# gradients lie in the buckets that are sent. static_graph=True would suit, but torch 2.13
# fails with it as soon as gradients are accumulated
model_wrapper_cfg = dict(
    type='MMDistributedDataParallel', broadcast_buffers=False, gradient_as_bucket_view=True)
randomness = dict(seed=322)

visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
log_level = 'INFO'
load_from = None
resume = False

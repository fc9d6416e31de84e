# What every CMID pre-training has in common.
_base_ = './runtime.py'

default_scope = 'mmpretrain'

default_hooks = dict(
    # set minutes=30 to save within long epochs too
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=3),
    visualization=dict(type='VisualizationHook', enable=False),
    broken_images=dict(type='BrokenImagesHook', max_share=0.1),
    step_seed=dict(type='StepSeedHook'),
    finite_step=dict(type='FiniteStepHook'),
    collapse_watch=dict(type='CollapseWatchHook'),
    progress=dict(type='ProgressHook'),
    pictures=dict(type='PicturesHook', interval=10, num_images=4),
    # epochs between two probes, 0 for none; data_root: class folders, else test_dataloader's
    probe=dict(type='ProbeHook', interval=0, data_root=None))
custom_hooks = [
    dict(type='CMIDTeacherMomentumHook', base_momentum=0.996),
    dict(type='CMIDTeacherTemperatureHook', start=0.04, end=0.07, warmup_epochs=50),
    dict(type='PreflightHook'),
    dict(type='MeasureStatisticsHook'),
]

# the queue and the statistics of each process are equal by construction: nothing to send;
# gradients lie in the buckets that are sent. static_graph=True would suit, but torch 2.13
# fails with it as soon as gradients are accumulated
model_wrapper_cfg = dict(
    type='MMDistributedDataParallel', broadcast_buffers=False, gradient_as_bucket_view=True)

visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])

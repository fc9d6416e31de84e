# What a small student gains in equal time from the size of its views, its stride and other
# settings.
#
#   python tools/study.py configs/studies/small_budgets.py --jobs 2 \
#       --data images=FOLDER scenes=CLASS_FOLDERS places=IMAGES_AND_MASKS
_base_ = './parts.py'

samples = None
minutes = 8
probes = 2

stride_16 = {'model.backbone.strides': (1, 2, 2, 1), 'model.data_preprocessor.mask_cell': 16}
# sides of the views, and those over sqrt(0.3 * 3/4), see ../_base_/datasets/image_folder_224.py
views = {f'{side} px': {
    'model.image_size': side, 'train_dataloader.dataset.pipeline.1.size': side,
    'train_dataloader.dataset.pipeline.0.shortest_side': shortest
} for side, shortest in ((96, 203), (48, 101), (32, 68))}
variants = dict(
    _delete_=True,
    untrained=dict(untrained=True, options=stride_16),
    # 6 x 6 cells
    views_96=dict(options=stride_16 | views['96 px']),
    # 4 x 4 cells
    views_64=dict(options=stride_16),
    untrained_stride_8=dict(untrained=True),
    # 8 x 8 cells: the recipe's own
    views_64_stride_8=dict(),
    views_48_stride_8=dict(options=views['48 px']),
    views_32_stride_8=dict(options=views['32 px']),
    mask_ratio_0_3=dict(options={'model.data_preprocessor.mask_ratio': 0.3}),
    all_cells=dict(options={'model.num_matches': -1}),
    # the rate follows the batch
    batch_32=dict(options={'train_dataloader.batch_size': 32}),
    rate_double=dict(options={'optim_wrapper.optimizer.lr': 4e-3}),
    momentum_0_996=dict(options={'custom_hooks.0.base_momentum': 0.996}),
    both_distorted=dict(options={'model.data_preprocessor.photometric.views': [0, 1]}),
    no_reconstruction=dict(options=_base_.no_pixels),
    local_double=dict(options={
        'model.local_head.loss': dict(type='AssignmentLoss', temperature=0.1, loss_weight=2.)}),
    # in place of 32 channels
    width_48=dict(options={
        'model.backbone.stem_channels': 48, 'model.backbone.base_channels': 48}))

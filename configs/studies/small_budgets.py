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
# 64 / sqrt(0.3 * 3/4) of other sides, see ../_base_/datasets/image_folder_224.py
views_96 = {'model.image_size': 96, 'train_dataloader.dataset.pipeline.1.size': 96,
            'train_dataloader.dataset.pipeline.0.shortest_side': 203}
views_48 = {'model.image_size': 48, 'train_dataloader.dataset.pipeline.1.size': 48,
            'train_dataloader.dataset.pipeline.0.shortest_side': 101}
views_32 = {'model.image_size': 32, 'train_dataloader.dataset.pipeline.1.size': 32,
            'train_dataloader.dataset.pipeline.0.shortest_side': 68}
variants = dict(
    _delete_=True,
    untrained=dict(untrained=True, options=stride_16),
    # 6 x 6 cells
    views_96=dict(options=stride_16 | views_96),
    # 4 x 4 cells
    views_64=dict(options=stride_16),
    untrained_stride_8=dict(untrained=True),
    # 8 x 8 cells: the recipe's own
    views_64_stride_8=dict(),
    views_48_stride_8=dict(options=views_48),
    views_32_stride_8=dict(options=views_32),
    mask_ratio_0_3=dict(options={'model.data_preprocessor.mask_ratio': 0.3}),
    all_cells=dict(options={'model.num_matches': -1}),
    # the rate follows the batch
    batch_32=dict(options={'train_dataloader.batch_size': 32}),
    rate_double=dict(options={'optim_wrapper.optimizer.lr': 4e-3}))

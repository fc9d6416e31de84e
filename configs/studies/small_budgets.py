# Size of the views and stride of a small student, in equal time.
#
#   python tools/study.py configs/studies/small_budgets.py --jobs 2 \
#       --data images=FOLDER scenes=CLASS_FOLDERS places=IMAGES_AND_MASKS
_base_ = './parts.py'

samples = None
minutes = 8
probes = 2

stride_16 = {'model.backbone.strides': (1, 2, 2, 1), 'model.data_preprocessor.mask_cell': 16}
variants = dict(
    _delete_=True,
    untrained=dict(untrained=True, options=stride_16),
    # 6 x 6 cells
    views_96=dict(options={
        **stride_16, 'model.image_size': 96, 'train_dataloader.dataset.pipeline.1.size': 96,
        'train_dataloader.dataset.pipeline.0.shortest_side': 203}),
    # 4 x 4 cells
    views_64=dict(options=stride_16),
    untrained_stride_8=dict(untrained=True),
    # 8 x 8 cells: the recipe's own
    views_64_stride_8=dict())

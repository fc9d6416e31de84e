# The size of the views of a small student, in equal time.
#
#   python tools/study.py configs/studies/small_budgets.py --jobs 2 \
#       --data images=FOLDER scenes=CLASS_FOLDERS places=IMAGES_AND_MASKS
_base_ = './parts.py'

samples = None
minutes = 8
probes = 2

variants = dict(
    _delete_=True,
    untrained=dict(untrained=True),
    views_96=dict(),
    # 4 x 4 cells
    views_64=dict(options={
        'model.image_size': 64, 'train_dataloader.dataset.pipeline.1.size': 64}),
    # 8 x 8 cells
    views_64_stride_8=dict(options={
        'model.image_size': 64, 'train_dataloader.dataset.pipeline.1.size': 64,
        'model.backbone.strides': (1, 2, 1, 1),
        'model.data_preprocessor.mask_cell': 8}))

# What makes minutes of training pay: sizes of the views, and small views for the student, in
# equal time.
#
#   python tools/study.py configs/studies/small_budgets.py --jobs 2 \
#       --data images=FOLDER scenes=CLASS_FOLDERS places=IMAGES_AND_MASKS
_base_ = './parts.py'

samples = None
minutes = 6
probes = 4

views_96 = {'model.image_size': 96, 'train_dataloader.dataset.pipeline.1.size': 96}
views_64 = {'model.image_size': 64, 'train_dataloader.dataset.pipeline.1.size': 64}
alone = {'train_dataloader.dataset.pipeline.1.small_views': 0}
small_48 = {
    'train_dataloader.dataset.pipeline.1.small_views': 2,
    'train_dataloader.dataset.pipeline.1.small_size': 48,
}
small_32 = {
    'train_dataloader.dataset.pipeline.1.small_views': 2,
    'train_dataloader.dataset.pipeline.1.small_size': 32,
}
variants = dict(
    _delete_=True,
    untrained=dict(untrained=True),
    views_96=dict(options={**views_96, **alone}),
    views_96_small=dict(options={**views_96, **small_48}),
    views_64=dict(options={**views_64, **alone}),
    views_64_small=dict(options={**views_64, **small_32}))

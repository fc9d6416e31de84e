# What each part of CMID contributes: a small student with one of the three losses alone, with the
# published cell locations, with the published settings, and untrained.
#
#   python tools/study.py configs/studies/parts.py --jobs 2 \
#       --data images=FOLDER scenes=CLASS_FOLDERS places=IMAGES_AND_MASKS
config = '../cmid/cmid_resnet18_toy.py'
folders = dict(images='data/images', scenes='data/ucm/images', places='data/places')
seeds = [0, 1, 2]
samples = 70_000
metrics = [
    f'{encoder}_{name}' for encoder in ('student', 'teacher')
    for name in ('knn/top1', 'linear/top1', 'places/miou')
]

options = {
    'train_dataloader.dataset.data_root': '{images}',
    'test_dataloader.dataset.datasets.0.data_root': '{scenes}',
    'test_dataloader.dataset.datasets.1.data_root': '{scenes}',
    'place_folder.data_root': '{places}',
    # those of the masks, from 0 on; 255 is ignored
    'place_folder.metainfo.classes': ['0', '1', '2', '3', '4', '5', '6', '7'],
    'default_hooks.pictures.interval': 0,
    # one process may use one core
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
}
no_pixels = {
    'model.reconstruction_head.pixel_loss': dict(type='FocalL1Loss', loss_weight=0.),
    'model.reconstruction_head.frequency_loss': None,
}
no_global = {'model.global_head.loss.loss_weight': 0.}
no_local = {'model.local_head.loss': dict(type='AssignmentLoss', loss_weight=0.)}

variants = dict(
    untrained=dict(untrained=True),
    # momentum contrast as its authors train it: nothing masked, both views distorted
    global_alone=dict(options={
        **no_pixels, **no_local,
        'model.data_preprocessor.mask_ratio': 0,
        'model.data_preprocessor.photometric.views': [0, 1],
    }),
    pixels_alone=dict(options={**no_global, **no_local}),
    local_alone=dict(options={**no_pixels, **no_global}),
    # the other variants differ from cmid_auto in what they name alone
    official_locations=dict(options={
        'train_dataloader.dataset.pipeline.1.locations': 'official'}),
    # values for a million images and 200 epochs; the warm-up is a twentieth of the epochs in both
    cmid_published=dict(options={
        'model.dense_projector.num_prototypes': 2048,
        'model.local_head.num_prototypes': 2048,
        'model.global_head.queue_size': 65536,
        'custom_hooks.0.base_momentum': 0.996,
        'custom_hooks.1.start': 0.04,
        'custom_hooks.1.end': 0.07,
        'custom_hooks.1.warmup_epochs': 50,
    }),
    # the recipe's own, which follow images and steps
    cmid_auto=dict())

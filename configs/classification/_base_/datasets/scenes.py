# Generated scenes of 128 pixels: tools/generate_scenes.py data/scenes --size 128
scenes = dict(type='ImageFolder', data_root='data/scenes/classification', with_label=True)
scenes_train = dict(
    scenes,
    data_prefix='train',
    pipeline=[
        dict(type='LoadRSImage', bands=3),
        dict(type='RandomResizedCrop', scale=128, crop_ratio_range=(0.5, 1.0)),
        dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        dict(type='RandomFlip', prob=0.5, direction='vertical'),
        dict(type='PackInputs'),
    ])
scenes_val = dict(
    scenes,
    data_prefix='val',
    pipeline=[
        dict(type='LoadRSImage', bands=3),
        dict(type='ResizeEdge', scale=128, edge='short'),
        dict(type='CenterCrop', crop_size=128),
        dict(type='PackInputs'),
    ])

# What a CMID backbone is worth in four tasks, against random weights, with few and all of the
# labels: the small student of configs/cmid/cmid_resnet18_toy.py, as many steps for all of a task.
# The seed of CZECH_ORTHO's split is the first one with more than 1 % of every class in both parts.
#
#   split=tools/dataset_converters/split_dataset.py
#   python $split UCMERCED --val-share 0.5
#   python $split CZECH_ORTHO --val-share 0.3 --group '(.*)_[0-9]+_[0-9]+' --seed 3
#   python $split AIRCRAFT/annotations.json --val-share 0.3 --group '(.*)_[0-9]+_[0-9]+'
#   python $split LEVIR --val-share 0.3 --group '(.*?)(_[0-9]{4}_[0-9]{4})?$'
#   python tools/study.py configs/studies/transfer.py --jobs 2 --data images=UNLABELLED \
#       classification=UCMERCED segmentation=CZECH_ORTHO detection=AIRCRAFT change=LEVIR
folders = dict(
    images='data/images', classification='data/ucm/images', segmentation='data/czech_ortho',
    detection='data/aircraft', change='data/levir')
seeds = [0, 1, 2]
metrics = ['accuracy/top1', 'mIoU', 'coco/bbox_mAP_50', 'change/f1']
# segmentation needs more: after 300 of them it never predicts classes with 3 % of the pixels
steps = dict(classification=300, segmentation=800, detection=300, change=300)
# percent; a tenth of the 16 training pairs of LEVIR has no change
few = dict(classification=10, segmentation=10, detection=10, change=50)

# of both trainings, so that the backbone gets the images that it knows
normalisation = {
    'model.data_preprocessor.mean': [86.182, 91.928, 85.374],
    'model.data_preprocessor.std': [34.655, 34.476, 35.879],
}
variants = dict(
    cmid=dict(
        config='../cmid/cmid_resnet18_toy.py',
        samples=70_000,
        export=True,
        options={
            **normalisation,
            'train_dataloader.dataset.data_root': '{images}',
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'default_hooks.pictures.interval': 0,
            'test_dataloader.dataset.datasets.0.data_root': '{classification}',
            'test_dataloader.dataset.datasets.1.data_root': '{classification}',
        }))

land_cover = ['vegetation', 'unpaved road', 'paved area', 'building', 'water', 'land']
tasks = dict(
    classification=dict(
        config='../classification/resnet18_finetune_1xb16-adamw-10e_scenes.py',
        options={
            'model.head.num_classes': 21,
            'model.data_preprocessor.num_classes': 21,
        },
        dataset=dict(data_prefix='')),
    segmentation=dict(
        config='../segmentation/upernet_r18_1xb8-adamw-10e_scenes.py',
        options={
            'model.decode_head.num_classes': len(land_cover),
            'model.auxiliary_head.num_classes': len(land_cover),
            'train_dataloader.dataset.pipeline': [
                dict(type='mmpretrain.LoadRSImage', bands=3),
                dict(type='mmpretrain.LoadMask'),
                dict(type='RandomCrop', crop_size=(128, 128)),
                dict(type='RandomFlip', prob=0.5),
                dict(type='PackSegInputs'),
            ],
        },
        dataset=dict(
            metainfo=dict(_delete_=True, classes=land_cover), reduce_zero_label=True,
            data_prefix=dict(img_path='images', seg_map_path='masks'))),
    detection=dict(
        config='../detection/faster-rcnn_r18_fpn_1xb4-adamw-10e_scenes.py',
        options={
            'model.roi_head.bbox_head.num_classes': 1,
            'train_dataloader.dataset.pipeline.2.scale': (256, 256),
            'test_dataloader.dataset.pipeline.1.scale': (256, 256),
        },
        dataset={'metainfo.classes': ['airplane'], 'data_prefix.img': 'images/'},
        lists='json'),
    change=dict(
        config='../change_detection/siamese-upernet_r18_1xb8-adamw-10e_scenes.py',
        options={
            'train_dataloader.dataset.pipeline': [
                dict(type='mmpretrain.LoadRSImagePair', bands=3),
                dict(type='mmpretrain.LoadChangeMask'),
                dict(type='RandomCrop', crop_size=(128, 128)),
                dict(type='RandomRotFlip', rotate_prob=0.0, flip_prob=0.75),
                dict(type='RandomFlip', prob=0.5),
                dict(type='PackSegInputs'),
            ],
        },
        dataset=dict(data_prefix=dict(img_path='A', img_path2='B', seg_map_path='label'))))
common = {
    **normalisation,
    'train_dataloader.sampler': dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    'default_hooks.checkpoint.by_epoch': False,
    # one process may use one core
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
}
starts = dict(
    random={
        'model.backbone.init_cfg': None,
        # that of the configs is for pre-trained weights
        'optim_wrapper.paramwise_cfg.backbone_lr_mult': 1,
    },
    cmid={'model.backbone.init_cfg.checkpoint': '{work_dir}/cmid/seed{seed}/backbone.pth'})
for task, settings in tasks.items():
    # a share of the images makes shorter epochs, not fewer steps
    length = {
        'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=steps[task]),
        'param_scheduler': [
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=30),
            dict(type='CosineAnnealingLR', T_max=steps[task], eta_min=1e-6, by_epoch=False),
        ],
        'default_hooks.checkpoint.interval': steps[task],
    }
    data = {f'{part}_dataloader.dataset.{key}': value
            for part, name in (('train', 'train'), ('test', 'val'))
            for key, value in dict(
                settings['dataset'], data_root=f'{{{task}}}',
                ann_file=f'{name}.{settings.get("lists", "txt")}').items()}
    for start, weights in starts.items():
        for labels in (few[task], 100):
            variants[f'{task}_{start}_{labels}'] = dict(
                config=settings['config'],
                train_options=['--labels', f'{labels / 100}'],
                options={**common, **length, **data, **settings['options'], **weights})

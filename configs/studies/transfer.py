# What a CMID backbone is worth in four tasks, against random weights, with 10 and 100 % of the
# labels: the small student on generated scenes.
#
#   python tools/generate_scenes.py data/scenes --num 500 --size 128
#   python tools/study.py configs/studies/transfer.py --jobs 2 --data images=FOLDER
folders = dict(images='data/images', scenes='data/scenes')
seeds = [0, 1, 2]
metrics = ['accuracy/top1', 'mIoU', 'coco/bbox_mAP_50', 'change/f1']

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
            'test_dataloader.dataset.datasets.0.data_root': '{scenes}/classification',
            'test_dataloader.dataset.datasets.1.data_root': '{scenes}/classification',
            'test_dataloader.dataset.datasets.0.label_level': 'parent',
            'test_dataloader.dataset.datasets.1.label_level': 'parent',
        }))

tasks = dict(
    classification='classification/resnet18_finetune_1xb16-adamw-10e_scenes.py',
    segmentation='segmentation/upernet_r18_1xb8-adamw-10e_scenes.py',
    detection='detection/faster-rcnn_r18_fpn_1xb4-adamw-10e_scenes.py',
    change='change_detection/siamese-upernet_r18_1xb8-adamw-10e_scenes.py')
starts = dict(
    random={'model.backbone.init_cfg': None},
    cmid={'model.backbone.init_cfg.checkpoint': '{work_dir}/cmid/seed{seed}/backbone.pth'})
for start, weights in starts.items():
    for task, file in tasks.items():
        data = {f'{part}_dataloader.dataset.data_root': f'{{scenes}}/{task}'
                for part in ('train', 'val', 'test')}
        for labels in (10, 100):
            # as many steps with fewer labels
            epochs = 1000 // labels
            length = {'train_cfg.max_epochs': epochs}
            if task != 'classification':
                length['param_scheduler.1.T_max'] = epochs
            if task in ('segmentation', 'change'):
                length['param_scheduler.1.end'] = epochs
            variants[f'{task}_{start}_{labels}'] = dict(
                config=f'../{file}',
                train_options=['--labels', f'{labels / 100}'],
                options={**normalisation, **data, **length, **weights})

"""Checks of the config and the data before a run starts."""
import math
import os

import numpy as np
import torch
from mmengine.dataset import default_collate
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch import nn

from cmid_mm.checkpoints.state import compare_states
from cmid_mm.datasets.folder_scan import on_first_process
from cmid_mm.datasets.input_description import describe, describe_input, differences
from cmid_mm.datasets.inspection import (
    describe_masks,
    inspect_masks,
    mask_loaders,
    parts_of,
    refuse_masks,
)
from cmid_mm.datasets.list_file import refuse_outside
from cmid_mm.utils.errors import CMIDError
from cmid_mm.utils.keyed_random import SampleIndex

_NAMES_IN_ERROR = 5
_LABELS = 'labels_of_run'
# modules with other classes than those of the data: a backbone's own classifier, and the
# region proposal network, which has one class (object)
_OTHER_CLASSES = ('backbone', 'rpn_head')


@HOOKS.register_module()
class PreflightHook(Hook):
    """Refuses a run that would fail late or train on wrong inputs, and logs its settings.

    Before the first image is read:

    - Classes: all data sets of the run have the same ones, and every ``num_classes`` of the
      model is their number. A label beyond the head ends in an index error inside the loss; a
      validation folder that lacks a class renumbers the classes after it without any error.
      Data sets without class names are not compared.
    - Lists: the paths in lists of other packages' data sets are inside the data folder; mmseg
      and open-cd join any path of a list to it. The data sets of this package check their own
      lists.
    - Masks: they have the sizes of their images, their values are classes, and there is
      something to learn; one line of the log reports the share of every class.

    After a checkpoint is read (``--resume``, ``load_from``, ``tools/test.py``):

    - Its tensors are those of the model. mmengine loads the ones that fit and logs the rest.

    Before the first step:

    - The pipeline and the data preprocessor accept the first image of a pre-training. Wrong
      bands, another size or 16-bit values would otherwise end the run only after every worker
      and process has started.
    - A queue of keys that is longer than the data set is limited to the images less a batch,
      unless ``model.global_head.bounded=False``.
    - Bands, ground sample distance and sensor of the images are compared with those of the
      backbone's pre-training, and written to every checkpoint, as ``meta['input']``.
    - A resumed run has the share of the labels, and its seed, of the interrupted one.
    - One line of the log reports learning rate, batch, steps, images and threads. A warm-up that
      takes more than half of the training, as one that counts steps does after a smaller number of
      images, is a warning.

    Args:
        allow_outside (bool): Whether lists may name files outside of the data folder.
            Defaults to False.
        max_masks (int): Largest number of masks of a data set to read, evenly spaced;
            tools/check_dataset.py reads all. Defaults to 500.

    Raises:
        CMIDError: A check failed.
    """

    def __init__(self, allow_outside: bool = False, max_masks: int = 500):
        self.allow_outside = allow_outside
        self.max_masks = max_masks

    def before_run(self, runner) -> None:
        loops = dict(train=runner._train_loop, val=runner._val_loop, test=runner._test_loop)
        # a loop that this run does not use is still a dict
        datasets = {use: loop.dataloader.dataset for use, loop in loops.items()
                    if hasattr(loop, 'dataloader')}
        check_classes(get_ori_model(runner.model), datasets)
        if not self.allow_outside:
            for dataset in datasets.values():
                check_lists(dataset)
        for use, dataset in datasets.items():
            parts = list(filter(mask_loaders, parts_of(dataset)))
            shares = [on_first_process(check_masks, use, part, self.max_masks) for part in parts]
            if use == 'train' and parts:
                # an image of each part counts the same
                shares = np.average(shares, axis=0, weights=[len(part) for part in parts])
                for module in get_ori_model(runner.model).modules():
                    if hasattr(module, 'set_shares'):
                        module.set_shares(shares.tolist())

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        model = get_ori_model(runner.model)
        state = checkpoint.get('state_dict', checkpoint)
        differences = compare_states(model.state_dict(), state).differences
        if differences:
            raise CMIDError(
                f'the checkpoint does not belong to this {type(model).__name__}: {differences}. '
                'Use the config it was trained with; to start a backbone from other weights '
                "set model.backbone.init_cfg=dict(type='CMIDPretrained', checkpoint=...).")

    def before_train(self, runner) -> None:
        model = get_ori_model(runner.model)
        if hasattr(model, 'check_size'):
            sample = runner.train_dataloader.dataset[SampleIndex(0, 0, 0)]
            inputs = model.data_preprocessor(default_collate([sample]), True)['inputs']
            model.check_size(inputs['images'][0])
        if getattr(getattr(model, 'global_head', None), 'bounded', False):
            bound_queue(model.global_head, runner.train_dataloader)
        check_labels(runner)
        self.input = describe_input(runner.train_dataloader.dataset)
        if any(self.input.values()):
            runner.logger.info(f'input: {describe(self.input)}')
        for module in model.modules():
            for text in differences(getattr(module, 'pretraining_input', None), self.input):
                runner.logger.warning(f'{type(module).__name__}: {text}')
        for text in long_warmups(runner):
            runner.logger.warning(text)
        runner.logger.info(describe_training(runner))

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint['meta']['input'] = self.input


def check_classes(model: nn.Module, datasets: dict) -> None:
    """Compare the classes of data sets with each other and with those of a model.

    Args:
        model (nn.Module): The ``num_classes`` of its modules are compared, except those of the
            backbone and of region proposals.
        datasets (dict[str, Dataset]): ``'train'``, ``'val'`` or ``'test'`` -> data set.

    Raises:
        CMIDError: Two data sets have different classes, or a module has another number.
    """
    classes = {use: tuple(dataset.metainfo['classes']) for use, dataset in datasets.items()
               if hasattr(dataset, 'metainfo') and dataset.metainfo.get('classes')}
    if not classes:
        return
    first, names = next(iter(classes.items()))
    for use, others in classes.items():
        if others != names:
            only = {first: sorted({*names} - {*others}), use: sorted({*others} - {*names})}
            found = '; '.join(f'{len(some)} only in {place} ({_some(some)})'
                              for place, some in only.items() if some)
            raise CMIDError(
                f'{first} and {use} have different classes: {found or "in another order"}; give '
                'both the same class folders, or name the classes of both data sets with '
                'metainfo=dict(classes=(...))')
    counts = {f'model.{place}.num_classes': getattr(module, 'num_classes', None)
              for place, module in model.named_modules() if not place.startswith(_OTHER_CLASSES)}
    wrong = {place: count for place, count in counts.items() if count not in (None, len(names))}
    if wrong:
        found = ', '.join(f'{place}={count}' for place, count in wrong.items())
        fix = ' '.join(f'{place}={len(names)}' for place in wrong)
        raise CMIDError(
            f'the data of {first}_dataloader have {len(names)} classes ({_some(names)}), but '
            f'the config has {found}: set num_classes in the config, or add --cfg-options {fix}')


def check_masks(use: str, dataset, max_masks: int) -> list[float]:
    """Report the masks of a data set; returns the share of each class, in their order.

    Raises:
        CMIDError: They cannot be used.
    """
    report = inspect_masks(dataset, max_masks, show_progress=False)
    print_log(f'{use}: {describe_masks(report)}', 'current')
    try:
        refuse_masks(report, use == 'train')
    except CMIDError as error:
        raise CMIDError(f'{use}_dataloader: {error}') from None
    return list(report['classes'].values())


def bound_queue(head: nn.Module, loader) -> None:
    """Limit the keys of a ``CMIDGlobalHead`` to the images of a loader less a batch."""
    images = len(loader.dataset)
    batch = loader.batch_sampler.batch_size * get_world_size()
    head.limit = max(1, images - batch)
    if head.limit < len(head.queue):
        print_log(f'queue: the newest {head.limit:,} of {len(head.queue):,} keys are used, the '
                  f'{images:,} images less a batch of {batch:,}, so that few images meet their '
                  'own keys; model.global_head.bounded=False uses all', 'current')


def check_labels(runner) -> None:
    """Compare the shares of ``LabelFraction`` with those of the resumed run, and record them.

    Raises:
        CMIDError: They differ.
    """
    hub = runner.message_hub
    now = [getattr(part, 'kept_labels', None) for part in parts_of(runner.train_dataloader.dataset)]
    then = hub.runtime_info.get(_LABELS, now) if runner.iter else now
    if then != now:
        raise CMIDError(f'the run to resume was trained on the labels {then}, now they are {now}: '
                        'resume with the same --labels and randomness.seed')
    hub.update_info(_LABELS, now)


def long_warmups(runner) -> list[str]:
    """A warning for each warm-up of the rate that takes more than half of the training."""
    schedulers = runner.param_schedulers or []
    if isinstance(schedulers, dict):
        schedulers = [scheduler for some in schedulers.values() for scheduler in some]
    found = []
    for scheduler in schedulers:
        length, unit = ((runner.max_epochs, 'epochs') if scheduler.by_epoch
                        else (runner.max_iters, 'steps'))
        if getattr(scheduler, 'start_factor', 1) < 1 and scheduler.end > length / 2:
            found.append(f'the warm-up of the rate takes {scheduler.end} {unit} and the training '
                         f'{length}: set a smaller `end` of {type(scheduler).__name__} in '
                         'param_scheduler, or train for longer')
    return found


def _some(names) -> str:
    """The first few names."""
    more = ['...'] if len(names) > _NAMES_IN_ERROR else []
    return ', '.join([*names[:_NAMES_IN_ERROR], *more])


def check_lists(dataset) -> None:
    """Check the list files of a data set and of the data sets in mmengine's wrappers.

    Raises:
        CMIDError: A line names a file outside of the data folder.
    """
    for part in (dataset, *parts_of(dataset)):
        ann_file = getattr(part, 'ann_file', None) or ''
        # a data set with this setting checks its list itself; JSON is no list of paths
        if (not hasattr(part, 'allow_outside') and os.path.isfile(ann_file)
                and not ann_file.endswith('.json')):
            refuse_outside(ann_file)


def describe_training(runner) -> str:
    """Learning rate, effective batch, length and threads of a training, in one line."""
    loader = runner.train_dataloader
    size, accumulation = loader.batch_sampler.batch_size, runner.optim_wrapper._accumulative_counts
    processes = get_world_size()
    rate = max(group.get('initial_lr', group['lr'])
               for group in runner.optim_wrapper.param_groups)
    samples = runner.max_iters * size * processes
    # an endless sampler fills a batch from fewer images
    epochs = runner.max_iters / len(loader) if len(loader) else samples / len(loader.dataset)
    return (
        f'learning rate {rate:.3g} (peak), effective batch {size * processes * accumulation} = '
        f'{processes} processes x {size} x {accumulation} accumulated; '
        f'{len(loader.dataset):,} images, {epochs:.4g} epochs, '
        f'{math.ceil(runner.max_iters / accumulation):,} optimiser steps, '
        f'{samples:,} samples in total; '
        f'{torch.get_num_threads()} CPU threads per process')

"""Accuracy of frozen features while the backbone trains."""
import json
from pathlib import Path

from mmengine.dist import get_world_size, master_only
from mmengine.hooks import Hook
from mmpretrain.registry import DATASETS, HOOKS
from mmpretrain.utils import get_ori_model

from cmid_mm.checkpoints.files import atomic_write
from cmid_mm.evaluation.batch_norm import calibrated_batch_norm
from cmid_mm.evaluation.probes import PROBES_FILE, leave_out_broken, probe_parts, read_probes
from cmid_mm.utils.errors import CMIDError


@HOOKS.register_module()
class ProbeHook(Hook):
    """Probes student and teacher on labelled images, every few epochs and after the last.

    Adds a validation loop to the training: that of ``tools/test.py --probes``, with images
    and metrics of ``probe_parts``. mmengine runs it after the epoch's checkpoint was saved,
    on all processes, each with its share of the images, and the accuracies are sent to log
    and ``visualizer`` as those of any validation. ``probes.json`` in the work dir holds them
    all: a list of ``epoch``, ``iter``, ``samples`` (images trained on) and ``metrics``.

    Images and masks that cannot be read are named before the first step and left out.

    The training is the same without it: evaluation mode draws no random number and changes no
    state that a later step depends on.

    Args:
        interval (int): Epochs between two probes; 0 disables them. Defaults to 0.
        data_root (str, optional): Folder whose sub-folders are the classes, in place of
            that of ``test_dataloader``. Defaults to None.
        before (bool): Whether the untrained network is probed too, with batch-norm statistics
            of the images of the probe (see ``calibrated_batch_norm``). Defaults to False.

    Raises:
        CMIDError: ``interval`` is negative. Before training: the config lacks a part or has a
            validation of its own, or the folder does not exist or has no classes.
    """

    # the folder is checked before any slow step
    priority = 'HIGH'

    def __init__(self, interval: int = 0, data_root: str | None = None, before: bool = False):
        if interval < 0:
            raise CMIDError(f'interval of ProbeHook is a number of epochs, not {interval}')
        self.interval = interval
        self.data_root = data_root
        self.before = before
        self.feature_of = None

    def before_train(self, runner) -> None:
        self.forget_others(runner)
        if not self.interval:
            return
        loader, evaluator = probe_parts(runner.cfg, self.data_root)
        if runner.val_loop is not None:
            raise CMIDError('default_hooks.probe replaces the validation, but the '
                            'config has val_dataloader: set default_hooks.probe.interval=0, or '
                            'remove val_dataloader, val_evaluator and val_cfg')
        dataset = DATASETS.build(loader.dataset)
        leave_out_broken(dataset)
        # between two probes workers would only take memory
        loader.update(persistent_workers=False, dataset=dataset)
        loop = runner.build_val_loop(dict(
            type='ValLoop',
            dataloader=loader,
            evaluator=evaluator,
            fp16=(runner.cfg.get('test_cfg') or {}).get('fp16', False)))
        classes = loop.dataloader.dataset.metainfo.get('classes') or ()
        if len(classes) < 2:
            raise CMIDError(
                f'a probe needs two classes or more, but finds {", ".join(classes) or "none"}: '
                'default_hooks.probe.data_root must be the folder whose sub-folders are the '
                'classes')
        runner._val_loop = loop
        runner.train_loop.val_begin = 1
        runner.train_loop.dynamic_milestones = [0]
        runner.train_loop.dynamic_intervals = [self.interval]

    def before_train_epoch(self, runner) -> None:
        # not before_train, where the statistics of the images may not be measured yet
        if self.interval and self.before and runner.iter == 0:
            model = get_ori_model(runner.model)
            with calibrated_batch_norm(model, runner.val_loop.dataloader.dataset):
                runner.val_loop.run()
            runner.model.train()

    def before_val(self, runner) -> None:
        if self.interval:
            model = get_ori_model(runner.model)
            self.feature_of, model.feature_of = model.feature_of, 'both'

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        if self.interval:
            self.record(runner, metrics)

    @master_only
    def forget_others(self, runner) -> None:
        """Remove from ``probes.json`` what is not of the run that begins or resumes here."""
        path = Path(runner.work_dir) / PROBES_FILE
        entries = read_probes(path)
        kept = [entry for entry in entries if 0 < runner.iter >= entry['iter']]
        if len(kept) < len(entries):
            self.write(path, kept)

    @staticmethod
    def write(path: Path, entries: list) -> None:
        with atomic_write(path) as file:
            Path(file).write_text(json.dumps(entries, indent=1) + '\n')

    @master_only
    def record(self, runner, metrics: dict) -> None:
        """Add a probe to ``probes.json``."""
        path = Path(runner.work_dir) / PROBES_FILE
        batch = runner.train_dataloader.batch_size * get_world_size()
        entry = dict(epoch=runner.epoch, iter=runner.iter, samples=runner.iter * batch,
                     metrics={name: float(value) for name, value in metrics.items()})
        self.write(path, [*read_probes(path), entry])

    def after_val(self, runner) -> None:
        if self.interval:
            get_ori_model(runner.model).feature_of = self.feature_of
            runner.model.train()

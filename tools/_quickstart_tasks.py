"""The quickstart's second part: four tasks from the backbone and from random weights."""
import os
import sys
import warnings
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from _errors import UserError
from _quickstart_run import print_timed, seconds_per_step, train

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


class Task(NamedTuple):
    """The config of a task and the metric that is reported."""

    config: str
    scenes: str
    framework: str
    metric: str
    metric_name: str


TASKS = dict(
    classification=Task(
        'classification/resnet18_finetune_1xb16-adamw-10e_scenes.py', 'classification',
        'mmpretrain', 'accuracy/top1', 'accuracy, %'),
    segmentation=Task(
        'segmentation/upernet_r18_1xb8-adamw-10e_scenes.py', 'segmentation',
        'mmseg', 'mIoU', 'mean IoU, %'),
    detection=Task(
        'detection/faster-rcnn_r18_fpn_1xb4-adamw-10e_scenes.py', 'detection',
        'mmdet', 'coco/bbox_mAP_50', 'mAP at IoU 0.5, %'),
    change_detection=Task(
        'change_detection/siamese-upernet_r18_1xb8-adamw-10e_scenes.py', 'change',
        'mmseg', 'change/f1', 'F1 of changed pixels, %'))
# few labelled scenes, as in practice, and enough validation scenes for a stable number
SCENES, VAL_SHARE, SIZE = 400, 0.4, 128
PICTURES = 6


def require_frameworks(tasks):
    """Refuse tasks whose framework is not installed, before anything is trained."""
    for task in tasks:
        if find_spec(TASKS[task].framework) is None:
            raise UserError(f'{task} needs {TASKS[task].framework}, which is not installed for '
                            f'{sys.executable}; tools/quickstart.sh --task {task} installs it')


def write_task_scenes(work_dir, tasks, bands, seed):
    """Labelled scenes for the tasks, none of them among those of the pre-training."""
    from cmid_mm.datasets.scenes import write_scenes
    folder = Path(work_dir) / 'labelled_scenes'
    write_scenes(folder, num=SCENES, size=SIZE, bands=bands, seed=seed + 1,
                 tasks=sorted({TASKS[task].scenes for task in tasks}), val_share=VAL_SHARE,
                 show_progress=sys.stderr.isatty())
    return folder


def task_config(task, scenes, backbone, meta, work_dir, seed):
    """The tiny config of a task, on these scenes and with this backbone.

    Args:
        task (str): One of ``TASKS``.
        scenes (Path): Folder of ``write_task_scenes``.
        backbone (str | None): Exported file; None starts from random weights.
        meta (dict): ``meta`` of the exported file, whose normalisation both starts use.
        work_dir (Path): Folder of logs and checkpoints.
        seed (int): Seed of weights and order.
    """
    from mmengine.config import Config
    cfg = Config.fromfile(CONFIGS / TASKS[task].config)
    relocate(cfg, 'data/scenes', str(scenes.resolve()))
    cfg.model.data_preprocessor.update(mean=meta['mean'], std=meta['std'])
    cfg.model.backbone.in_channels = meta['bands']
    for loader in loaders(cfg):
        loader.update(num_workers=0, persistent_workers=False)
        for step in loader.dataset.pipeline:
            if 'bands' in step or 'LoadRSImage' in step.type:
                step.bands = meta['bands']
    cfg.model.backbone.init_cfg = backbone and dict(
        type='CMIDPretrained', checkpoint=str(backbone))
    if backbone is None:
        # that of the configs is for pre-trained weights
        cfg.optim_wrapper.paramwise_cfg.backbone_lr_mult = 1
    cfg.work_dir = str(work_dir)
    cfg.randomness = dict(seed=seed)
    cfg.launcher = 'none'
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=1, save_best=None)
    # tested before and after the training only, which saves time
    cfg.train_cfg.val_interval = 10**6
    return cfg


def relocate(node, old, new):
    """Replace the folder ``old`` in all strings of a config that begin with it."""
    # a Config is not a dict
    items = node.items() if hasattr(node, 'items') else enumerate(node)
    for key, value in list(items):
        if isinstance(value, str) and value.startswith(old):
            node[key] = new + value[len(old):]
        elif isinstance(value, (dict, list)):
            relocate(value, old, new)


def loaders(cfg):
    return [cfg[name] for name in ('train_dataloader', 'val_dataloader', 'test_dataloader')]


def fit_epochs(cfg, seconds):
    """Set the epochs that fit into a time, at most those of the config.

    The schedules of the config are shortened with them.
    """
    found, steps = seconds_per_step(cfg)
    most = epochs = cfg.train_cfg.max_epochs
    for per_step in found.values():
        epochs = min(max(int(seconds / (per_step * steps)), 1), most)
    cfg.train_cfg.max_epochs = epochs
    for scheduler in cfg.param_scheduler:
        for name in ('begin', 'end', 'T_max'):
            if scheduler.get(name) and scheduler.get('by_epoch', True):
                scheduler[name] = max(1, round(scheduler[name] * epochs / most))
    return epochs


def draw(task, runner, path, title):
    """Draw predictions beside the truth, spread over the validation scenes."""
    import torch
    from mmengine.dataset import pseudo_collate

    from cmid_mm.visualization import PREDICTION_PICTURES
    dataset = runner.test_dataloader.dataset
    collate = runner.test_dataloader.collate_fn or pseudo_collate
    count = 2 * PICTURES if task == 'classification' else PICTURES
    places = range(0, len(dataset), max(1, len(dataset) // count))
    runner.model.eval()
    samples, infos = [], []
    for place in list(places)[:count]:
        with torch.no_grad():
            samples += runner.model.test_step(collate([dataset[place]]))
        infos.append(dataset.get_data_info(place))
    loading = next((dict(bands=step.bands) for step in dataset.pipeline.transforms
                    if hasattr(step, 'bands')), None)
    PREDICTION_PICTURES[task](samples, infos, dataset.metainfo, path, title, loading)


def run_tasks(tasks, backbone, meta, args):
    """Train every task from the backbone and from random weights.

    Args:
        tasks (list[str]): Some of ``TASKS``.
        backbone (str): Exported file.
        meta (dict): Its ``meta``.
        args (argparse.Namespace): Options of the quickstart.

    Yields:
        tuple[str, dict]: Task, as soon as it is done, and its metric (the name), cmid,
        scratch, untrained (in percent), epochs and picture (path).
    """
    # these warnings address authors of heads and hooks, not users of the quickstart
    warnings.filterwarnings('ignore', category=UserWarning, module=r'mm(cv|det|engine|seg)\.')
    work_dir = Path(args.work_dir)
    print_timed(f'labelled scenes for {", ".join(tasks)} ...')
    scenes = write_task_scenes(work_dir, tasks, meta['bands'], args.seed)
    for task in tasks:
        yield task, run_task(task, scenes, backbone, meta, args, print_to(sys.stdout))


def print_to(stream):
    """``print_timed`` that writes to a stream while the output of libraries is discarded."""
    def print_there(line):
        with redirect_stdout(stream):
            print_timed(line)
    return print_there


def run_task(task, scenes, backbone, meta, args, report):
    """One task of :func:`run_tasks`; ``report`` prints a line. Returns its results."""
    metric, name = TASKS[task].metric, TASKS[task].metric_name
    work_dir = Path(args.work_dir)
    configs = {
        start: task_config(task, scenes, weights, meta, work_dir / 'tasks' / task / start,
                           args.seed)
        for start, weights in dict(cmid=backbone, scratch=None).items()}
    scale = 100. if metric.startswith('coco') else 1.
    values = {}
    # pycocotools prints in every call
    with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere):
        epochs = fit_epochs(configs['cmid'], 60 * args.task_minutes)
        configs['scratch'].train_cfg.max_epochs = epochs
        configs['scratch'].param_scheduler = configs['cmid'].param_scheduler
        report(f'{task}: {epochs} epochs from the CMID backbone, then from random weights')
        for start, cfg in configs.items():
            Path(cfg.work_dir).mkdir(parents=True, exist_ok=True)
            cfg.dump(str(Path(cfg.work_dir) / 'config.py'))
            runner, results = train(cfg, lambda line: report(f'  {line}'), tested=True)
            values[start] = scale * float(results.after[metric])
            if start == 'cmid':
                values['untrained'] = scale * float(results.before[metric])
                picture = str(work_dir / f'{task}.png')
                draw(task, runner, picture, f'{task} from CMID: {name} {values["cmid"]:.1f}')
    report('{task}: {name}: CMID {cmid:.1f}, random weights {scratch:.1f}, untrained head '
           '{untrained:.1f}'.format(task=task, name=name, **values))
    return dict(metric=name, **values, epochs=epochs, picture=picture)


def show_tasks(results):
    """Print the results as a table."""
    print(f'\n{"task":<18}{"metric":<26}{"CMID":>7}{"random":>9}{"untrained":>11}')
    for task, row in results.items():
        print(f'{task:<18}{row["metric"]:<26}{row["cmid"]:>7.1f}{row["scratch"]:>9.1f}'
              f'{row["untrained"]:>11.1f}')
    for task, row in results.items():
        print(f'{task:<18} {row["picture"]}')

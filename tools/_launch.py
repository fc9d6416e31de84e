"""Options, config and processes of ``train.py`` and ``test.py``."""
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from _errors import UserError, print_line

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')

FRAMEWORKS = ('mmpretrain', 'mmseg', 'mmdet', 'mmrotate', 'opencd')


def add_common_options(parser):
    """Adds the options that both tools have to an ``argparse.ArgumentParser``."""
    parser.add_argument('--work-dir', help='folder of logs, checkpoints and results')
    parser.add_argument('--cfg-options', **config_settings())
    parser.add_argument(
        '--no-pin-memory', action='store_true', help='data loaders do not pin memory')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='launcher of the processes')
    # torch.distributed.launch passes one spelling or the other, by its version
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def config_settings(config='the config'):
    """Arguments of ``add_argument`` for an option that changes settings of a config."""
    from _config_keys import SettingsAction
    return dict(
        nargs='+', action=SettingsAction, default={}, metavar='KEY=VALUE',
        help=f'change settings of {config}: model.backbone.depth=50, list="[a,b]", '
        'custom_hooks.0.priority=LOW; paths are used as they are written')


def load_config(args):
    """Reads the config, with the command line's settings in it.

    Args:
        args (argparse.Namespace): Options of :func:`add_common_options` and ``config``.

    Returns:
        mmengine.config.Config: ``work_dir`` and ``launcher`` are set.

    Raises:
        UserError: A missing file, a syntax error, an unknown setting.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    cfg.work_dir = (args.work_dir or cfg.get('work_dir')
                    or f'./work_dirs/{Path(args.config).stem}')
    return cfg


def read_config(config, options):
    """As :func:`load_config`, without the settings of a run.

    Args:
        config (str): File.
        options (dict[str, object]): Dotted key -> value.
    """
    path = Path(config)
    if not path.is_file():
        from _config_keys import suggestion
        siblings = [entry.name for entry in path.parent.glob('*.py')]
        raise UserError(f'no such config: {path}{suggestion(path.name, siblings)}')

    from mmengine.config import Config

    import cmid_mm  # noqa: F401  (registers everything, prepares the environment)
    try:
        cfg = Config.fromfile(path)
    except (FileNotFoundError, SyntaxError) as error:
        raise UserError(f'{path}: {error}') from error
    except ImportError as error:
        missing = missing_module(error)
        if missing is None:
            raise
        raise UserError(f'{path} imports {missing}, which was not found; install it or '
                        f'add its folder to PYTHONPATH') from error
    require_framework(cfg)
    read_checkpoints_safely()
    apply_options(cfg, options)
    return cfg


def require_framework(cfg):
    """Refuses a config whose framework is not installed."""
    scope = cfg.get('default_scope')
    # another scope may be that of a registry without a package
    if scope in FRAMEWORKS and find_spec(scope) is None:
        raise UserError(f'{cfg.filename} needs {scope}, which was not found; install it or '
                        f'add its folder to PYTHONPATH (docs/versions.md)')


def missing_module(error):
    """Name of the module that an import did not find, also in chained errors.

    Args:
        error (BaseException | None): Error of the import.

    Returns:
        str | None: None where the import failed for another reason.
    """
    while error is not None:
        if isinstance(error, ModuleNotFoundError):
            return error.name
        error = error.__cause__ or error.__context__
    return None


def apply_options(cfg, options):
    """Merges ``--cfg-options`` into the config.

    mmengine adds any key. A top-level key that nothing reads is a typo and is refused; below
    that, a new key may be an argument that has its default in the config, so it is only
    reported.

    Args:
        cfg (mmengine.config.Config): Changed in place.
        options (dict[str, object]): Dotted key -> value, or ``Text`` of the command line.

    Raises:
        UserError: An unknown top-level key, or an index beyond the end of a list.
    """
    from _config_keys import Text, check_top_level, find_value, has_key, read_value
    options = {key: read_value(key, value, find_value(cfg, key)) if isinstance(value, Text)
               else value for key, value in options.items()}
    for key in options:
        try:
            check_top_level(cfg, key)
        except ValueError as error:
            raise UserError(f'--cfg-options {key}: {error}') from error
        if '.' in key and not has_key(cfg, key):
            report_new(key)
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError) as error:
        raise UserError(f'--cfg-options: {error.args[0]}') from error


@cache
def report_new(key):
    """Once for each key, because a study adds it to the config of every variant."""
    print_line(f'--cfg-options adds {key}, which the config does not have')


def read_checkpoints_safely():
    """Make mmengine read every checkpoint safely, with an error of one line.

    Otherwise torch decides whether a file may run code, and permits it for downloads.
    """
    from mmengine.runner import CheckpointLoader, checkpoint

    from cmid_mm.checkpoints.files import load_checkpoint_file, load_checkpoint_url

    # mmengine's log line derives the name of the backend from the function's name
    def load_from_local(filename, map_location):
        return load_checkpoint_file(os.path.expanduser(filename), map_location)

    CheckpointLoader.register_scheme('', load_from_local, force=True)
    # for http:// and https:// and for every name of a model zoo
    checkpoint.load_url = load_checkpoint_url


def require_checkpoint(path):
    """Refuses a local checkpoint that does not exist.

    Args:
        path (str | None): File or URL; URLs are left to mmengine.
    """
    if path and '://' not in path and not Path(path).expanduser().is_file():
        raise UserError(f'no such checkpoint: {path}')


def require_parts(cfg, loop):
    """Refuses a config without the parts of a loop (``'train'`` or ``'test'``)."""
    missing = [f'{loop}_{part}' for part in ('dataloader', 'cfg')
               if cfg.get(f'{loop}_{part}') is None]
    if missing:
        raise UserError(f'{cfg.filename} has no {" and no ".join(missing)}, there is '
                        f'nothing to {loop}')


def set_loader_defaults(cfg, pin_memory=True, persistent_workers=True):
    """Sets the defaults of mmpretrain for every data loader.

    Args:
        cfg (mmengine.config.Config): Changed in place.
        pin_memory (bool): False switches it off; without an accelerator it is always
            off, because torch would warn about every loader.
        persistent_workers (bool): False switches it off.
    """
    import torch
    pin_memory = pin_memory and torch.accelerator.is_available()
    for name in LOADERS:
        loader = cfg.get(name)
        if loader is None:
            continue
        loader.setdefault('pin_memory', torch.cuda.is_available())
        loader.setdefault('persistent_workers', True)
        if cfg.get('default_scope') == 'mmpretrain':
            loader.setdefault('collate_fn', dict(type='default_collate'))
        loader.pin_memory &= pin_memory
        # torch refuses persistent workers where there are none
        loader.persistent_workers &= persistent_workers and loader.get('num_workers', 0) > 0


def prepare_processes(cfg):
    """Checks the processes of a launcher, and starts them on the CPU without a GPU.

    mmengine binds every process to a GPU before it reads the backend, so on the CPU the
    process group is created here, and the model is wrapped without device numbers.

    Args:
        cfg (mmengine.config.Config): Changed in place.

    Raises:
        UserError: More processes than GPUs, or a launcher that needs a GPU.
    """
    import torch
    from mmengine.device import get_device
    if cfg.launcher == 'none':
        return
    if torch.cuda.is_available():
        visible = torch.cuda.device_count()
        if cfg.launcher == 'pytorch' and int(os.environ['LOCAL_RANK']) >= visible:
            raise UserError(f'more processes than GPUs on this machine: {visible} visible')
    elif get_device() == 'cpu':
        if cfg.launcher != 'pytorch':
            raise UserError(f'no GPU found; on the CPU use tools/dist_train.sh or '
                            f'dist_test.sh instead of --launcher {cfg.launcher}')
        cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
        if cfg.get('model_wrapper_cfg') is None:
            cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel')
        wrapper = cfg.model_wrapper_cfg
        # wrappers of other kinds have none of these arguments
        kind = wrapper.setdefault('type', 'MMDistributedDataParallel')
        if 'DistributedDataParallel' in str(kind):
            wrapper.device_ids = None
            wrapper.setdefault('broadcast_buffers', False)
            wrapper.setdefault('find_unused_parameters',
                               cfg.get('find_unused_parameters', False))
        torch.distributed.init_process_group('gloo')
        print_line(f'no GPU found: {torch.distributed.get_world_size()} processes on the CPU, '
                   f'backend gloo')


def build_runner(cfg):
    """Runner of the config's own type."""
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)

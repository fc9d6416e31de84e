"""Trains and tests variants of a config with several seeds: study.py configs/studies/NAME.py

A run, one variant with one seed, is tools/train.py and tools/test.py in
WORK_DIR/VARIANT/seedN. The same command again resumes interrupted runs and repeats no
finished one. results.json, results.md and results.png are written after each run: means
over the seeds with 95 % confidence intervals, and curves of the probes.

Exit status 0: all runs are finished. 1: a run failed; the last lines of its log are printed.
"""
import argparse
import copy
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from pprint import pformat
from statistics import fmean

import _errors
from _errors import UserError

TOOLS = Path(__file__).resolve().parent
# settings of a variant; those of the study are their defaults
SETTINGS = ('config', 'options', 'samples', 'minutes', 'probes', 'train_options',
            'test_options', 'untrained', 'export')
LOG_LINES = 10


def parse_args(arguments=None):
    from _launch import config_settings
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('study', help='file that names a config, variants and seeds')
    parser.add_argument('--data', nargs='+', default=[], metavar='NAME=FOLDER',
                        help='folders in place of those in `folders` of the study')
    parser.add_argument('--work-dir', help='folder of all runs (default: work_dirs/NAME)')
    parser.add_argument('--jobs', type=int, default=1,
                        help='runs side by side; each takes its share of the cores unless '
                        'OMP_NUM_THREADS is set (default: 1)')
    parser.add_argument('--only', nargs='+', metavar='VARIANT', help='run these variants only')
    parser.add_argument('--seeds', nargs='+', type=int, help='in place of those of the study')
    parser.add_argument('--cfg-options', **config_settings('all configs'))
    parser.add_argument('--table', action='store_true', help='only write the results again')
    args = parser.parse_args(arguments)
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, not {args.jobs}')
    args.work_dir = Path(args.work_dir or Path('work_dirs', Path(args.study).stem))
    return args


# ---------------------------------------------------------------- planning


@dataclass(eq=False)
class Run:
    """A variant with a seed; ``needs`` are the runs whose files it uses."""

    variant: str
    seed: int
    folder: Path
    settings: dict
    cfg: object
    text: str  # of its config, VARIANT/seedN.py
    needs: list
    future: Future | None = None


def read_study(args):
    """Content of the study file, with folders and seeds of the command line.

    Raises:
        UserError: The file, a variant, a setting or the name of a folder does not exist.
    """
    from _config_keys import suggestion
    from mmengine.config import Config
    path = Path(args.study)
    if not path.is_file():
        names = [entry.name for entry in path.parent.glob('*.py')]
        raise UserError(f'no such study: {path}{suggestion(path.name, names)}')
    try:
        study = Config.fromfile(path).to_dict()
    except (SyntaxError, FileNotFoundError) as error:
        raise UserError(f'{path}: {error}') from error
    variants, folders = (study.setdefault(key, {}) for key in ('variants', 'folders'))
    if not variants:
        raise UserError(f'{path} has no variants: add variants = dict(NAME=dict(options={{}}))')
    given = dict(word.partition('=')[::2] for word in args.data)
    keys = [key for variant in variants.values() for key in variant]
    for word in args.data:
        if not all(word.partition('=')[::2]):
            raise UserError(f'--data {word}: write NAME=FOLDER')
    for what, words, known in (('variant', args.only or (), variants),
                               ('entry of folders', given, folders), ('setting', keys, SETTINGS)):
        for word in words:
            if word not in known:
                raise UserError(f'{path}: there is no {what} {word!r}{suggestion(word, known)}; '
                                f'there is {", ".join(known) or "none"}')
    folders.update(given)
    study['seeds'] = args.seeds or study.get('seeds') or [0]
    return study


def fill(node, values):
    """A copy of nested dicts and lists with ``{name}`` replaced in all strings."""
    if isinstance(node, dict):
        return {key: fill(value, values) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(fill(value, values) for value in node)
    if isinstance(node, str):
        for name, value in values.items():
            node = node.replace(f'{{{name}}}', str(value))
    return node


def read_variant(study, name, args):
    """Settings of a variant, and its config with ``{seed}`` and ``{work_dir}`` in it."""
    from _config_keys import has_key
    from _launch import read_config
    common = {key: study[key] for key in SETTINGS if key in study}
    settings = common | study['variants'][name]
    if 'config' not in settings:
        raise UserError(f'{args.study}: neither the study nor its variant {name} has a config')
    options = common.get('options', {}) | settings.get('options', {})
    for key, folder in study['folders'].items():
        if f'{{{key}}}' in repr(options) and not Path(folder).is_dir():
            raise UserError(f'no such folder: {folder}; give it by --data {key}=FOLDER')
    try:
        cfg = read_config((Path(args.study).parent / settings['config']).resolve(),
                          fill(options, study['folders']) | args.cfg_options)
    except UserError as error:
        raise UserError(f'variant {name}: {error}') from error
    keep = 'default_hooks.checkpoint.max_keep_ckpts'
    if has_key(cfg, 'default_hooks.checkpoint') and keep not in options | args.cfg_options:
        cfg.merge_from_dict({keep: 1})
    if not settings.get('untrained'):
        set_length(name, settings, cfg, args.work_dir / 'lengths.json')
    return settings, cfg


def set_length(name, settings, cfg, file):
    """Set the epochs that suit images or time, and the interval of the probes.

    Epochs that depend on measured time stand in a file, so that a resumed study has the same.
    """
    minutes, samples, probes = map(settings.get, ('minutes', 'samples', 'probes'))
    if minutes:
        known = json.loads(file.read_text()) if file.is_file() else {}
        digest = hashlib.sha256(repr(cfg.to_dict()).encode()).hexdigest()[:12]
        key = f'{name}: {minutes} minutes, config {digest}'
        if key not in known:
            known[key] = max(1, round(60 * minutes / seconds_per_epoch(cfg)))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(known, indent=1) + '\n')
        cfg.train_cfg.max_epochs = known[key]
    elif samples:
        cfg.train_cfg.max_epochs = max(1, round(samples / samples_per_epoch(cfg)))
    if probes and cfg.get('probe_evaluator') is not None:
        cfg.merge_from_dict({
            'default_hooks.probe.interval': -(-cfg.train_cfg.max_epochs // probes),
            'default_hooks.probe.before': True})


def samples_per_epoch(cfg):
    from mmengine.registry import DefaultScope
    from mmengine.runner import Runner
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    return len(loader) * loader.batch_size


def seconds_per_epoch(cfg):
    """Measured on a few steps; UserError where an epoch has fewer."""
    from _launch import set_loader_defaults
    from _quickstart_run import seconds_per_step

    from cmid_mm.models.selfsup.recipe import choose_recipe, fill_auto
    cfg = copy.deepcopy(cfg)
    set_loader_defaults(cfg)
    fill_auto(cfg, choose_recipe(samples_per_epoch(cfg), cfg.train_cfg.max_epochs,
                                 cfg.train_dataloader.batch_size))
    found, steps = seconds_per_step(cfg)
    if not found:
        raise UserError(f'{cfg.filename}: an epoch of {steps} steps is too short to be measured: '
                        'give samples instead of minutes')
    return min(found.values()) * steps


def plan(study, args):
    """The chosen runs: all variants of the first seed, then those of the next.

    Raises:
        UserError: A config, a folder or the run that another one needs is missing, or a run
            was begun with other settings.
    """
    variants = {name: read_variant(study, name, args)
                for name in study['variants'] if name in (args.only or study['variants'])}
    for name in variants:
        # of the other seeds too: the results have one mean of all
        for old in sorted((args.work_dir / name).glob('seed*.py')):
            if old.read_text() != text_of(study, variants, old.with_suffix(''))[0]:
                raise UserError(f'{old} has other settings than the study now, or uses a run that '
                                f'has: delete it and {old.with_suffix("")}, or use another '
                                '--work-dir')
    runs = {}
    for seed in study['seeds']:
        for name, (settings, cfg) in variants.items():
            folder = args.work_dir / name / f'seed{seed}'
            text, used = text_of(study, variants, folder)
            for other in used:
                if other not in runs and not (other / 'result.json').is_file():
                    raise UserError(f'{folder} uses files of {other}, which is not finished: that '
                                    'variant must come first in the study and be chosen too')
            needs = [runs[other] for other in used if other in runs]
            runs[folder] = Run(name, seed, folder, settings, cfg, text, needs)
    return list(runs.values())


def text_of(study, variants, folder):
    """Config of a run as text, and the folders of the runs whose files it uses.

    The text begins with the settings of the study and digests of the runs that it uses: after
    another pre-training, a run that started from the old one is not finished.
    """
    work_dir, name, seed = folder.parent.parent, folder.parent.name, folder.name[4:]
    settings, cfg = variants[name]
    content = fill(cfg.to_dict(), dict(seed=seed, work_dir=work_dir))
    content['randomness'] = (content.get('randomness') or {}) | dict(seed=int(seed))
    header = {key: settings[key] for key in SETTINGS[2:] if key in settings}
    lines, used, names = [f'# settings of the study: {header}\n'], [], list(study['variants'])
    found = re.findall(rf'{re.escape(str(work_dir))}/([^/]+/seed\d+)/', repr(content))
    for other in dict.fromkeys(work_dir / place for place in found):
        if other == folder or other.parent.name not in names:
            continue
        used.append(other)
        file, text = other.with_suffix('.py'), ''
        # one that comes later is refused by plan()
        if other.parent.name in variants and names.index(other.parent.name) < names.index(name):
            text = text_of(study, variants, other)[0]
        elif file.is_file():
            text = file.read_text()
        lines.append(f'# uses {other.parent.name}/{other.name}: '
                     f'{hashlib.sha256(text.encode()).hexdigest()[:12]}\n')
    lines += [f'{key} = {pformat(value, width=100, sort_dicts=False)}\n'
              for key, value in content.items()]
    return ''.join(lines), used


# ---------------------------------------------------------------- running


class Tools:
    """The subprocesses of all runs."""

    def __init__(self):
        self.processes, self.stopped = [], False

    def call(self, command, log):
        """Run a tool; its output is added to a file.

        Raises:
            UserError: It failed; with the last lines of the file.
        """
        with log.open('a') as file:
            process = subprocess.Popen(
                [sys.executable, *command], stdout=file, stderr=subprocess.STDOUT)
        self.processes.append(process)
        if self.stopped:
            process.terminate()
        if process.wait():
            lines = log.read_text(errors='replace').splitlines()[-LOG_LINES:]
            raise UserError(f'status {process.returncode}; the last lines of {log}:\n    '
                            + '\n    '.join(lines))

    def stop(self):
        """End those that are running; no other one starts."""
        self.stopped = True
        for process in self.processes:
            if process.poll() is None:
                process.terminate()


def execute(run, tools):
    """Train, test and export, after the runs that it needs; returns ``result.json``'s content."""
    from _quickstart_run import print_timed

    from cmid_mm.checkpoints.export import export_backbone
    from cmid_mm.checkpoints.files import atomic_write, latest_checkpoint
    from cmid_mm.evaluation.probes import read_probes
    for other in run.needs:
        if other.future is not None and other.future.exception() is not None:
            raise UserError(f'it needs {other.folder}, which failed')
    begun, folder, commands, checkpoint = time.perf_counter(), run.folder, [], None
    print_timed(f'{folder} started')
    folder.mkdir(parents=True, exist_ok=True)
    # not inside of the folder, where mmengine writes a copy
    config, metrics = folder.with_suffix('.py'), folder / 'metrics.json'
    config.write_text(run.text)

    def call(tool, *arguments):
        commands.append([os.path.relpath(TOOLS / tool), str(config), *map(str, arguments)])
        tools.call(commands[-1], (folder / tool).with_suffix('.log'))

    probed = run.cfg.get('probe_evaluator') is not None
    if not run.settings.get('untrained'):
        # the probes are the validation of a pre-training
        call('train.py', '--work-dir', folder, '--resume', *([] if probed else ['--no-validate']),
             *run.settings.get('train_options', []))
        checkpoint = latest_checkpoint(str(folder))
    options = run.settings.get('test_options', ['--probes'] if probed else [])
    call('test.py', *[checkpoint] * bool(checkpoint), *options, '--work-dir', folder / 'test',
         '--out', metrics, '--out-item', 'metrics')
    if run.settings.get('export'):
        encoder = run.settings['export']
        export_backbone(checkpoint, str(folder / 'backbone.pth'),
                        None if encoder is True else encoder)
    values = {name: value for name, value in json.loads(metrics.read_text()).items()
              if isinstance(value, (int, float))}
    result = dict(
        variant=run.variant, seed=run.seed, metrics=values,
        **training_of(checkpoint, run.cfg), curve=read_probes(folder / 'probes.json'),
        wall_seconds=time.perf_counter() - begun,
        commands=[shlex.join(['python', *command]) for command in commands])
    with atomic_write(folder / 'result.json') as file:
        file.write_text(json.dumps(result, indent=1) + '\n')
    return result


def training_of(checkpoint, cfg):
    """Samples, seconds of the steps alone, and images a second, of all parts of a training."""
    if checkpoint is None:
        return dict(samples=0, seconds=0., images_per_second=None)
    from cmid_mm.checkpoints.files import load_checkpoint_file
    content = load_checkpoint_file(checkpoint)
    times = content['message_hub']['log_scalars']['train/time']._log_history
    samples = content['meta']['iter'] * cfg.train_dataloader.batch_size
    return dict(samples=samples, seconds=float(times.sum()),
                images_per_second=len(times) * cfg.train_dataloader.batch_size / times.sum())


def run_all(runs, jobs, finish):
    """Do the runs that are not finished, some side by side; returns whether all succeeded.

    Args:
        runs (list[Run]): In an order in which each comes after those that it needs.
        jobs (int): Number of runs side by side.
        finish (Callable[[], None]): Called after each run that succeeded.
    """
    from _quickstart_run import print_timed
    files = {run: run.folder / 'result.json' for run in runs}
    done = [json.loads(file.read_text()) for file in files.values() if file.is_file()]
    print_timed(f'{len(done)} of {len(runs)} runs are finished')
    tools, futures, failed = Tools(), {}, 0
    handlers = {number: signal.signal(number, interrupt)
                for number in (signal.SIGINT, signal.SIGTERM)}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for run in runs:
                if not files[run].is_file():
                    run.future = pool.submit(execute, run, tools)
                    futures[run.future] = run
            for future in as_completed(list(futures)):
                folder, error = futures.pop(future).folder, future.exception()
                if error is None:
                    done.append(future.result())
                    finish()
                    left = time_left(futures.values(), done) / jobs
                    print_timed(f'{folder} finished, {len(done)} of {len(runs)}; time left about '
                                f'{timedelta(seconds=round(left))}')
                else:
                    failed += 1
                    text = _errors.clear_line(error) or f'{type(error).__name__}: {error}'
                    print_timed(f'{folder} failed: {text}')
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            tools.stop()
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return not failed


def time_left(runs, done):
    """Seconds of some runs, by the finished ones of the same variant, or of all."""
    def of(variants):
        return [row['wall_seconds'] for row in done if row['variant'] in variants]
    return sum(fmean(of({run.variant}) or of({row['variant'] for row in done})) for run in runs)


def interrupt(number, frame):
    raise SystemExit('study.py: interrupted; the same command resumes it')


def main(arguments=None):
    args = parse_args(arguments)
    # before torch is imported
    os.environ.setdefault('OMP_NUM_THREADS',
                          str(max(1, len(os.sched_getaffinity(0)) // args.jobs)))
    from _study_results import markdown_table, write_results
    study = read_study(args)

    def finish():
        return write_results(args.work_dir, Path(args.study).stem, study['variants'],
                             study.get('metrics'))

    complete = args.table or run_all(plan(study, args), args.jobs, finish)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    summary = finish()
    print(f'\n{markdown_table(summary)}\n{args.work_dir}/results.md')
    if summary['missing']:
        print(f'no run reported {", ".join(summary["missing"])}; reported were '
              f'{", ".join(summary["reported"]) or "none"}')
    if not complete:
        sys.exit(1)


if __name__ == '__main__':
    _errors.run(main)

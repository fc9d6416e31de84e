"""Repeats a step that was not finite: replay_step.py CONFIG WORK_DIR/bad_steps/step_N.json

Prints the first module whose output is not finite, for which images, and which gradients are
not finite; with --precision float32 or bfloat16 as if the run had that precision.
"""
import json
from pathlib import Path

import _errors
from _launch import read_config
from _options import tool_parser


def parse_args(arguments=None):
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config of the run, e.g. its copy in the work dir')
    parser.add_argument('record', type=Path, help='step_N.json')
    parser.add_argument('--checkpoint', help='weights before the step (default: those that '
                        'were saved with the record)')
    parser.add_argument('--precision', choices=['float32', 'bfloat16'],
                        help='default: that of the config')
    return parser.parse_args(arguments)


def replay(cfg, record, checkpoint):
    """Run forward and backward pass of each batch of a recorded step, without an update.

    Args:
        cfg (Config): Of the run.
        record (dict): As ``FiniteStepHook`` writes it.
        checkpoint (str): File with the weights before the step.

    Yields:
        dict: Of a batch: ``losses`` name -> float; ``module``, the first whose output is not
        finite, '' for none; ``files`` of the images at which that output is not finite;
        ``gradients``, names of the parameters whose gradient is not finite.
    """
    from mmengine.dataset import default_collate
    from mmengine.device import get_device
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import init_default_scope
    from mmpretrain.registry import DATASETS, MODELS

    from cmid_mm.checkpoints.files import load_checkpoint_file
    from cmid_mm.checkpoints.state import compare_states
    from cmid_mm.utils.keyed_random import SampleIndex
    init_default_scope('mmpretrain')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    state = load_checkpoint_file(checkpoint)['state_dict']
    differences = compare_states(model.state_dict(), state).differences
    if differences:
        raise _errors.UserError(f'{checkpoint} does not belong to the config: {differences}')
    model.load_state_dict(state)
    model.to(get_device()).train()
    # so that the rows of an output are the images of the batch
    model.joint_views = False
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    for batch in record['batches']:
        model.local_head.teacher_temperature.fill_(batch['teacher_temperature'])
        samples = [dataset[SampleIndex(sample, record['seed'], batch['epoch'])]
                   for sample in batch['samples']]
        yield run_batch(model, wrapper, default_collate(samples), batch['files'])


def run_batch(model, wrapper, data, files):
    """Forward and backward pass of a batch; the results are those of :func:`replay`."""
    found = []

    def watch(name):
        def hook(module, inputs, output):
            if not found and hasattr(output, 'isfinite') and not output.isfinite().all():
                rows = output.detach().reshape(len(output) if output.ndim else 1, -1)
                found.append((name, (~rows.isfinite()).any(1).tolist()))
        return hook

    handles = [module.register_forward_hook(watch(name))
               for name, module in model.named_modules() if not list(module.children())]
    model.zero_grad()
    with wrapper.optim_context(model):
        losses = model(**model.data_preprocessor(data, True), mode='loss')
    for handle in handles:
        handle.remove()
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    module, rows = found[0] if found else ('', [])
    # rows of an output of another length are windows or cells, not images
    bad = [file for file, row in zip(files, rows) if row] if len(rows) == len(files) else []
    return dict(
        losses={name: float(value.detach()) for name, value in losses.items()},
        module=module, files=bad,
        gradients=[name for name, parameter in model.named_parameters()
                   if parameter.grad is not None and not parameter.grad.isfinite().all()])


def main(arguments=None):
    args = parse_args(arguments)
    cfg = read_config(args.config, {})
    if not args.record.is_file():
        raise _errors.UserError(f'no such record: {args.record}')
    record = json.loads(args.record.read_text())
    if args.precision:
        cfg.optim_wrapper.precision = args.precision
    if not args.checkpoint and not record['state']:
        raise _errors.UserError(f'the weights before step {record["step"]} were not saved: give '
                                'a checkpoint of shortly before with --checkpoint')
    checkpoint = args.checkpoint or str(args.record.parent / Path(record['state']).name)
    for number, found in enumerate(replay(cfg, record, checkpoint), 1):
        print(f'batch {number} of step {record["step"]}: '
              f'{len(record["batches"][number - 1]["samples"])} images')
        for name, value in found['losses'].items():
            print(f'  {name:<22}{value:.6g}')
        if found['module']:
            print(f'  first output that is not finite: {found["module"]}')
        for file in found['files']:
            print(f'    of {file}')
        for name in found['gradients'][:5]:
            print(f'  gradient that is not finite: {name}')
        if not found['module'] and not found['gradients']:
            print('  everything is finite')


if __name__ == '__main__':
    _errors.run(main)

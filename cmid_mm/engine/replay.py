"""Repeats a training step that was written down, and finds where its numbers go bad."""
from collections.abc import Iterator

import torch
from mmengine.dataset import default_collate
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpretrain.registry import DATASETS, MODELS
from torch import Tensor, nn

from cmid_mm.engine.hooks.checkpoint_guard_hook import compare_states
from cmid_mm.checkpoints.files import load_checkpoint_file
from cmid_mm.utils.keyed_random import SampleIndex


def replay(cfg, record: dict, checkpoint: str) -> Iterator[dict]:
    """Run the batches of a recorded step, forwards and backwards, without taking it.

    Args:
        cfg (Config): Of the run.
        record (dict): As ``FiniteStepHook`` writes it.
        checkpoint (str): File with the weights before the step.

    Yields:
        dict: Of a batch: ``losses`` name -> float; ``module``, the first whose output is not
        finite, '' for none; ``files`` of the images at which that output is not finite;
        ``gradients``, names of the parameters whose gradient is not finite.

    Raises:
        ValueError: The checkpoint does not belong to the config.
    """
    DefaultScope.get_instance('replay', scope_name='mmpretrain')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    state = load_checkpoint_file(checkpoint)['state_dict']
    complaint = compare_states(model.state_dict(), state)
    if complaint:
        raise ValueError(f'{checkpoint} does not belong to the config: {complaint}')
    model.load_state_dict(state)
    model.local_head.teacher_temperature.fill_(record['teacher_temperature'])
    model.to(get_device()).train()
    # so that the rows of an output are the images of the batch
    model.joint_views = False
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    for batch in record['batches']:
        samples = [dataset[SampleIndex(sample, record['seed'], record['epoch'])]
                   for sample in batch['samples']]
        yield _run(model, wrapper, default_collate(samples), batch['files'])


def _run(model, wrapper, data: dict, files: list) -> dict:
    seen = []
    handles = [module.register_forward_hook(_watch(name, seen))
               for name, module in model.named_modules() if not list(module.children())]
    model.zero_grad()
    with wrapper.optim_context(model):
        losses = model(**model.data_preprocessor(data, True), mode='loss')
    for handle in handles:
        handle.remove()
    loss = sum(value for name, value in losses.items() if 'loss' in name)
    loss.backward()
    module, rows = seen[0] if seen else ('', torch.zeros(0))
    # an output of another length counts windows or cells, not images
    bad = rows.nonzero().flatten().tolist() if len(rows) == len(files) else []
    return dict(
        losses={name: float(value.detach()) for name, value in losses.items()},
        module=module,
        files=[files[row] for row in bad],
        gradients=[name for name, parameter in model.named_parameters()
                   if parameter.grad is not None and not parameter.grad.isfinite().all()])


def _watch(name: str, seen: list):
    """A forward hook that notes the module and the rows of its output that are not finite."""
    def hook(module: nn.Module, inputs, output) -> None:
        if not seen and isinstance(output, Tensor) and not output.isfinite().all():
            rows = ~output.detach().reshape(len(output) if output.ndim else 1, -1).isfinite()
            seen.append((name, rows.any(1)))
    return hook

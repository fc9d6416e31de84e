"""A training step makes the host wait for the device once, to check that it is finite."""
import warnings
from collections import Counter

import pytest
import torch
from tiny_run import tiny_runner
from torch.utils._python_dispatch import TorchDispatchMode

from cmid_mm.models.preprocessing import photometric

aten = torch.ops.aten
# the host must know their result, or its size
WAITING = {
    aten._local_scalar_dense, aten.item, aten.is_nonzero, aten.equal, aten.nonzero,
    aten.masked_select, aten._unique2, aten.unique_dim, aten.unique_consecutive, aten.bincount}
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


class Waits(TorchDispatchMode):
    """Counts the operators for which a host would wait for an accelerator."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        packet = function.overloadpacket
        by_mask = packet in INDEXING and any(
            index is not None and index.dtype == torch.bool for index in args[1])
        sized_by_values = (packet is aten.repeat_interleave
                           and (kwargs or {}).get('output_size') is None)
        if packet in WAITING or by_mask or sized_by_values:
            self.counts[packet.__name__] += 1
        return function(*args, **kwargs or {})


@pytest.fixture
def step(tmp_path, monkeypatch):
    """One iteration with the hooks that run after each of them, in the form for a GPU."""
    monkeypatch.setattr(photometric, 'SELECTIVE_DEVICES', ())
    runner = tiny_runner(tmp_path, options={
        'model.data_preprocessor.mean': [100.] * 3, 'model.data_preprocessor.std': [50.] * 3})
    batch = next(iter(runner.build_dataloader(runner.cfg.train_dataloader)))
    if torch.cuda.is_available():
        # copies from other memory would wait
        batch = {name: value.pin_memory() for name, value in batch.items()}
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    wrapper.initialize_count_status(runner.model, 0, 1)
    runner.model.train()

    def run():
        runner.model.train_step(batch, wrapper)
        runner.model.update_teacher(0.99)

    run()
    return run


@pytest.mark.parametrize('call, name', [
    (lambda x: x.sum().item(), '_local_scalar_dense'),
    (lambda x: float(x[0]), '_local_scalar_dense'),
    (lambda x: x[x > 0], 'index'), (lambda x: x.nonzero(), 'nonzero'),
    (lambda x: x.masked_select(x > 0), 'masked_select'),
    (lambda x: x.repeat_interleave(torch.ones(6, dtype=torch.long)), 'repeat_interleave')])
def test_what_makes_the_host_wait_is_counted(call, name):
    with Waits() as waits:
        x = torch.arange(-3., 3.)
        torch.where(x > 0, x, 0)[torch.tensor([1, 2])].masked_fill(x[:2] > 0, 0)
        call(x)
    assert waits.counts == {name: 1}


def test_a_step_waits_once(step):
    with Waits() as waits:
        step()
    assert waits.counts == {'_local_scalar_dense': 1}


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_step_waits_once_for_a_gpu(step):
    torch.cuda.set_sync_debug_mode('warn')
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            step()
    finally:
        torch.cuda.set_sync_debug_mode('default')
    waits = [str(warning.message) for warning in caught
             if 'synchronizing CUDA operation' in str(warning.message)]
    assert len(waits) == 1, waits

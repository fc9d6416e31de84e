"""Files as the published code wrote them, with its classes in their pickles."""
import collections
import json
import sys
import types
from collections import OrderedDict

import torch
from golden_files import GOLDEN

# the published files whose keys are known
NAMES = ('resnet50', 'swin_base')


def keys_of(name, part='model'):
    """{key: (shape, dtype)} of a published file, in its order."""
    keys = json.loads((GOLDEN / 'checkpoints' / f'{name}_keys.json').read_text())[part]
    return {key: (shape, getattr(torch, dtype.removeprefix('torch.')))
            for key, (shape, dtype) in keys.items()}


def thin_tensors(keys, limit=5):
    """Random tensors of these names and dtypes, no side longer than ``limit`` or so."""
    state = OrderedDict()
    for key, (shape, dtype) in keys.items():
        # sides differ, so that a tensor that was turned shows
        shape = [min(size, limit + i) for i, size in enumerate(shape)]
        state[key] = torch.randn(shape) if dtype.is_floating_point else torch.randint(
            10**6, shape, dtype=dtype)
    return state


def full_shapes(keys):
    """Tensors of the true shapes, each filled by one number of its own, small in files."""
    return OrderedDict((key, torch.full((), i, dtype=dtype).expand(shape))
                       for i, (key, (shape, dtype)) in enumerate(keys.items()))


def save_pretraining(path, model, /, epoch=199, num_gpus=8, **fields):
    """A whole published file; ``fields`` replace or add entries."""
    names = ('Exploring', 'Exploring.utils', 'Exploring.utils.metric',
             'Exploring.utils.history_buffer')
    added = {name: types.ModuleType(name) for name in names}
    *_, metric, buffer = added.values()
    metric.MetricStroge = type('MetricStroge', (dict, ), dict(__module__=metric.__name__))
    buffer.HistoryBuffer = type('HistoryBuffer', (), dict(__module__=buffer.__name__))
    logged = buffer.HistoryBuffer()
    logged.values = collections.deque([1., 2.], maxlen=20)
    storage = metric.MetricStroge(loss=logged)
    storage.window = 20
    sys.modules.update(added)
    try:
        torch.save(dict(
            epoch=epoch, num_gpus=num_gpus, model=model,
            optimizer=dict(state={0: dict(exp_avg=torch.zeros(3))}, param_groups=[]),
            metric_storage=storage,
            hooks=dict(CheckpointerHook=dict(_recent_checkpoints=['a.pth']))
        ) | fields, path)
    finally:
        for module in added:
            del sys.modules[module]


def assert_same_file(found, expected):
    """The same tensors, bit by bit, under the same names in the same order."""
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype, key
        assert torch.equal(found[key], value), key

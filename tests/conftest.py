"""Shared fixtures: where the golden numbers and the real images lie."""
import functools
import gc
import os
from pathlib import Path

import pytest
import torch
from mmengine.config import config
from mmengine.runner import runner

import cmid_mm  # noqa: F401  (registers everything, prepares the environment)

# mmengine collects garbage for every data set: without what is imported, a quarter of a
# second less each time
gc.freeze()
# a runner collects versions and formats the text of its config three times or more, which takes
# longer than a training of a few steps; without the formatting the text is the same Python
runner.collect_env = functools.cache(runner.collect_env)
config.FormatCode = lambda text, **kwargs: (text, False)

REPOSITORY = Path(__file__).resolve().parents[1]
REAL_DATA = Path(os.environ.get('CMID_DATA', REPOSITORY.parent / 'shared' / 'data'))


@pytest.fixture(autouse=True)
def mmpretrain_scope():
    """Every test starts in mmpretrain's scope, as every config of this project does."""
    from mmengine.registry import init_default_scope
    init_default_scope('mmpretrain')


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


@pytest.fixture
def real_data():
    """Folder of real images (``CMID_DATA``); the test skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f'real images are absent: {REAL_DATA} (set CMID_DATA)')
    return REAL_DATA

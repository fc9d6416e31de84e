"""Access to the golden numbers: arrays of the published code on fixed inputs.

``CMID_GOLDEN`` names another folder of files of the same form. Tests therefore take
every setting, shape and case from the files and none from their own text.
"""
import importlib.util
import json
import os
import re
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(os.environ.get('CMID_GOLDEN', Path(__file__).parent / 'golden'))


class Golden:
    """One golden file, ``golden['key']`` is an array, ``golden.json('key')`` a structure."""

    def __init__(self, name):
        with np.load(GOLDEN / f'{name}.npz') as arrays:
            self.arrays = dict(arrays)

    def __getitem__(self, key):
        return self.arrays[key]

    def __contains__(self, key):
        return key in self.arrays

    def json(self, key):
        return json.loads(str(self.arrays[key]))

    def tensor(self, key, dtype=None):
        return torch.from_numpy(self.arrays[key].copy()).to(dtype)

    def matching(self, pattern):
        """``[(key, match), ...]`` for the keys that a regular expression matches whole."""
        found = [(key, re.fullmatch(pattern, key)) for key in self.arrays]
        found = [(key, match) for key, match in found if match]
        assert found, f'no key of the golden file matches {pattern}'
        return found


def recipe():
    """The module ``recipe.py`` of the golden folder (weights and inputs by rule)."""
    spec = importlib.util.spec_from_file_location('golden_recipe', GOLDEN / 'recipe.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

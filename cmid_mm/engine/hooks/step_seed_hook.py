"""Makes random numbers within a step a function of the step."""
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cmid_mm.utils.keyed_random import seed_globally, view_key

# no epoch has this number, so the key of a step differs from those of views
_STEP = -2


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds Python, NumPy and torch before every step, from (seed, step, process).

    Drop path, dropout and other random numbers of a backbone are then those of a run that
    was never interrupted, and checkpoints need no state of a generator. The views do not
    need this: they have keys of their own.
    """

    # before any hook that may draw
    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        seed_globally(view_key(runner.seed, _STEP, runner.iter, get_rank()))

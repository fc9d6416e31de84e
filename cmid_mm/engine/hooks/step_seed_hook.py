"""What is drawn within a step depends on the step alone."""
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cmid_mm.utils.keyed_random import seed_globally, view_key

# no epoch and no view has this number, so the key of a step is the key of nothing else
_STEP = -2


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds Python, NumPy and torch before every step, from (seed, step, process).

    Drop path, dropout and whatever else a backbone draws are then what they would be in a
    run that was never cut, and no state of a generator has to be kept in checkpoints. The
    views do not need it: they have keys of their own.
    """

    # before any hook that may draw
    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        seed_globally(view_key(runner.seed, _STEP, runner.iter, get_rank()))

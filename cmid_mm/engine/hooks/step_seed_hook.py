"""Seeds of the random numbers within a step."""
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cmid_mm.utils.keyed_random import seed_globally, view_key

# no epoch has this number, so the key of a step differs from those of views
_STEP = -2


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds Python, NumPy and torch before every step, from (seed, step, process).

    A resumed run then has the same drop path, dropout and other random numbers of a backbone as
    an uninterrupted one, and checkpoints need no generator state. The views do not
    need this, because they have their own keys.
    """

    # before any hook that may draw random numbers
    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        seed_globally(view_key(runner.seed, _STEP, runner.iter, get_rank()))

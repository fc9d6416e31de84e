"""mmengine's Runner, with what a CMID run must not leave to chance."""
import math

from mmengine.device import get_device
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

RULES = dict(linear=lambda ratio: ratio, sqrt=math.sqrt)


# in mmengine's own registry: runners are built before the config's scope is known
@RUNNERS.register_module()
class CMIDRunner(Runner):
    """Scales the rate with the effective batch and refuses a loader without a batch.

    Chosen by ``runner_type = 'CMIDRunner'`` in a config. Under a plain ``Runner`` the same
    config trains too, with mmengine's own rule.
    """

    def scale_lr(self, optim_wrapper, auto_scale_lr=None) -> None:
        """Scale the rate of the config to the batch that one optimiser step sees.

        mmengine's rule leaves accumulated gradients out and knows the linear law only.

        Args:
            optim_wrapper (OptimWrapper): Holds the rate of the config.
            auto_scale_lr (dict, optional): ``enable``; ``base_batch_size``, the batch for
                which the config's rate is meant; ``rule``, ``'linear'`` or ``'sqrt'``.

        Raises:
            ValueError: The rule is unknown, or the base is missing.
        """
        if not auto_scale_lr or not auto_scale_lr.get('enable', False):
            return
        rule = auto_scale_lr.get('rule', 'linear')
        if rule not in RULES or 'base_batch_size' not in auto_scale_lr:
            raise ValueError('auto_scale_lr needs base_batch_size and a rule of '
                             f'{tuple(RULES)}, not {dict(auto_scale_lr)}')
        loader = self._train_dataloader
        per_process = loader['batch_size'] if isinstance(loader, dict) else loader.batch_size
        effective = per_process * self.world_size * optim_wrapper._accumulative_counts
        base = auto_scale_lr['base_batch_size']
        factor = RULES[rule](effective / base)
        for group in optim_wrapper.param_groups:
            group['lr'] *= factor
        self.logger.info(f'learning rate of the config (for a batch of {base}) times '
                         f'{factor:.4g}: {rule} rule, effective batch {effective}')

    def wrap_model(self, model_wrapper_cfg, model):
        """As mmengine's, without synchronised batch norm where torch has none (CPU)."""
        if self.distributed and self.cfg.get('sync_bn') and get_device() == 'cpu':
            self.logger.warning('batch norm is not synchronised: torch can do that on '
                                'accelerators only; each process sees its own batch')
            self.cfg.sync_bn = None
        return super().wrap_model(model_wrapper_cfg, model)

    @staticmethod
    def build_dataloader(dataloader, seed=None, diff_rank_seed=False):
        """As mmengine's; raises ValueError where not even one batch can be drawn."""
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        if len(loader) == 0:
            raise ValueError(
                f'{len(loader.dataset)} images on all processes are fewer than one batch of '
                f'{loader.batch_size} on each: lower train_dataloader.batch_size or add images')
        return loader

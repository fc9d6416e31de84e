"""Fused window attention for any OpenMMLab project."""
from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS

from cmid_mm.models.selfsup.window_attention import use_fused_attention


@HOOKS.register_module()
class FusedAttentionHook(Hook):
    """Runs the window attention of every Swin in a model through torch's fused attention.

    One line for a config of mmpretrain, mmseg, mmdet, mmrotate or open-cd, to train or to
    test: ``custom_hooks = [dict(type='mmpretrain.FusedAttentionHook')]``. Weights, names and,
    up to rounding, results stay the same. ``CMID`` itself does not need it.
    """

    # before anything that copies the model
    priority = 'VERY_HIGH'

    def before_run(self, runner) -> None:
        found = use_fused_attention(runner.model)
        runner.logger.info(f'{found} window attentions are fused' if found else
                           'FusedAttentionHook found no Swin in the model')

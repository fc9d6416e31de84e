"""One line in a config fuses the attention of a downstream model."""
from types import SimpleNamespace

import pytest
import torch
from frameworks import build, swin
from mmengine.logging import MMLogger
from mmengine.registry import HOOKS
from tiny_run import tiny_runner

from cmid_mm.models.selfsup.window_attention import FusedWindowAttention


@pytest.mark.parametrize('framework', ['mmpretrain', 'mmseg', 'mmdet'])
def test_any_swin_gives_the_same_features(framework):
    pytest.importorskip(framework)
    model = build(framework, swin(framework))
    model.eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = model(images)
        hook = HOOKS.build(dict(type='mmpretrain.FusedAttentionHook'))
        hook.before_run(SimpleNamespace(model=model, logger=MMLogger.get_current_instance()))
        after = model(images)
    assert any(isinstance(module, FusedWindowAttention) for module in model.modules())
    for one, other in zip(before, after):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


def test_a_run_logs_that_there_is_nothing_to_fuse(tmp_path):
    runner = tiny_runner(tmp_path, options={
        'custom_hooks': [dict(type='FusedAttentionHook')]})
    runner.train()
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    # the student's are fused already
    assert 'FusedAttentionHook found no Swin' in log
    assert 'fused window attentions' in log

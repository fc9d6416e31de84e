"""One line in a config fuses the attention of a downstream model."""
from types import SimpleNamespace

import pytest
import torch
from frameworks import build, swin
from mmengine.registry import HOOKS
from small_models import build_cmid

from cmid_mm.models.selfsup.window_attention import FusedWindowAttention


def fuse(model):
    """What a run with the hook logs."""
    lines = []
    HOOKS.build(dict(type='mmpretrain.FusedAttentionHook')).before_run(
        SimpleNamespace(model=model, logger=SimpleNamespace(info=lines.append)))
    return lines


@pytest.mark.parametrize('framework', ['mmpretrain', 'mmseg', 'mmdet'])
def test_any_swin_gives_the_same_features(framework):
    model = build(framework, swin(framework))
    model.eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = model(images)
        assert fuse(model) == ['8 window attentions are fused']
        after = model(images)
    assert sum(isinstance(module, FusedWindowAttention) for module in model.modules()) == 8
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


def test_where_nothing_is_to_be_fused_the_log_reports_it():
    # the student's attentions are fused already
    assert fuse(build_cmid()) == ['FusedAttentionHook found no Swin in the model']

"""A CMID checkpoint in the backbones of the neighbouring frameworks, read by mmengine."""
import pytest
import torch
from frameworks import build, swin
from small_models import TINY_SWIN, build_cmid

from cmid_mm.checkpoints.export import extract_backbone

RESNET = dict(type='ResNet', depth=18)


@pytest.mark.parametrize('student', [RESNET, TINY_SWIN], ids=['resnet', 'swin'])
@pytest.mark.parametrize('framework', ['mmpretrain', 'mmseg', 'mmdet'])
def test_features_are_the_students(framework, student, tmp_path):
    model = build_cmid(student).eval()
    torch.save(extract_backbone(dict(state_dict=model.state_dict())), tmp_path / 'backbone.pth')
    backbone = build(framework, dict(
        RESNET if student is RESNET else swin(framework), out_indices=(3, ),
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'backbone.pth'),
                      prefix='backbone.')))
    backbone.init_weights()
    # init_weights of mmseg's and mmdet's Swin renames keys of other files; all must arrive
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, model.backbone.state_dict()[key]), key
    if framework != 'mmpretrain' and student is TINY_SWIN:
        return  # they shift windows that are as large as the map, too
    backbone.eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone(image)[-1], model.student_map(image))

"""A CMID checkpoint in the backbones of the neighbouring frameworks."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS as ROOT
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from small_models import build_cmid

from cmid_mm.checkpoints.backbone import extract_backbone

RESNET = dict(type='ResNet', depth=18)
SWIN = dict(embed_dims=16, depths=[2, 2, 2, 2], num_heads=[1, 2, 4, 8])


@pytest.fixture
def checkpoints(tmp_path):
    """Exported files of a ResNet-18 and a small Swin."""
    paths = {}
    backbones = dict(
        resnet=(RESNET, 64),
        swin=(dict(type='SwinTransformer', arch=SWIN, drop_path_rate=0., out_indices=(3, )), 224))
    for name, (backbone, size) in backbones.items():
        model = build_cmid(backbone, size)
        paths[name] = (str(tmp_path / f'{name}.pth'), model.eval())
        torch.save(extract_backbone(dict(state_dict=model.state_dict())), paths[name][0])
    return paths


@pytest.mark.parametrize('framework,scope', [
    ('mmseg', 'mmseg'), ('mmdet', 'mmdet'), ('mmpretrain', 'mmpretrain')])
def test_features_are_the_students(framework, scope, checkpoints):
    """Same features, apart from what pre-training does not make."""
    pytest.importorskip(framework)
    if framework != 'mmpretrain':
        __import__(f'{framework}.models')
    init_default_scope(scope)
    for name, (path, student) in checkpoints.items():
        arguments = dict(RESNET, out_indices=(3, )) if name == 'resnet' else dict(
            type='SwinTransformer', drop_path_rate=0., out_indices=(3, ),
            **(dict(arch=SWIN) if framework == 'mmpretrain' else SWIN))
        registry = MODELS if framework == 'mmpretrain' else ROOT
        # as out of a config: mmdet's Swin reads attributes
        backbone = registry.build(ConfigDict(
            arguments, type=f'{scope}.{arguments["type"]}',
            init_cfg=dict(type='Pretrained', checkpoint=path, prefix='backbone.')))
        backbone.init_weights()
        backbone.eval()
        if name == 'swin' and framework != 'mmpretrain':
            # their init_weights remaps other keys; every weight must have arrived
            for key, value in backbone.state_dict().items():
                assert torch.equal(value, student.backbone.state_dict()[key]), key
            continue
        image = torch.randn(1, 3, student.image_size, student.image_size)
        with torch.no_grad():
            torch.testing.assert_close(backbone(image)[-1], student.student_map(image))

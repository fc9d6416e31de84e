"""Inputs of which no picture can be made are refused by an error that names them."""
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from cmid_mm.apis.images import reading_steps
from cmid_mm.models.selfsup.stage_maps import stage_maps
from cmid_mm.visualization.attention import attention_maps
from cmid_mm.visualization.embedding import embed
from cmid_mm.visualization.feature_pca import pca_colours

RESNET = dict(type='ResNet', depth=18)
VIT = dict(type='VisionTransformer', img_size=32, patch_size=8, out_type='featmap',
           with_cls_token=False,
           arch=dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=32))
IMAGES = torch.zeros(1, 3, 32, 32)
TRAINING = Config(dict(model=dict(image_size=96), train_dataloader=dict(
    dataset=dict(pipeline=[dict(type='LoadRSImage', bands=3)]))))


@pytest.mark.parametrize('culprit, call', [
    (r'ResNet has no attention.*feature_pca\.py',
     lambda: attention_maps(MODELS.build(RESNET), IMAGES)),
    ('no class token', lambda: attention_maps(MODELS.build(VIT), IMAGES, 'cls')),
    ('4 images are too few', lambda: embed(np.ones((4, 4), np.float32), 'pca')),
    ('out_type=featmap', lambda: pca_colours([np.zeros(16)])),
    ('ResNet has no stage 5: stages count from 1 to 4',
     lambda: stage_maps(MODELS.build(RESNET), 5).__enter__()),
    ('no known family', lambda: stage_maps(torch.nn.Linear(1, 1), 1).__enter__()),
    ('a size of 0 px', lambda: reading_steps(TRAINING, 0)),
    ('no pipeline of .* reads images with LoadRSImage',
     lambda: reading_steps(Config(dict(model={}))))])
def test_the_error_names_the_culprit(culprit, call):
    with pytest.raises(ValueError, match=culprit):
        call()

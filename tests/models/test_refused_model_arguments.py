"""Arguments that make no sense are refused by an error that names them."""
import pytest
import torch
from mmpretrain.registry import BATCH_AUGMENTS, MODELS
from small_models import TINY_SWIN, build_cmid, loader_batch, losses_of

from cmid_mm.utils.errors import CMIDError


def build(kind, **settings):
    return MODELS.build(dict(type=kind, **settings))


def preprocessor(mean=(1, 2), std=(1, 1), **settings):
    return build('CMIDDataPreprocessor', mean=mean, std=std, **settings)


def photometric(**settings):
    return BATCH_AUGMENTS.build(dict(type='PhotometricDistortion', **settings))


ROWS = [
    ('queue_size', lambda: build('CMIDGlobalHead', queue_size=0)),
    ('num_layers', lambda: build('CMIDDenseProjector', in_channels=8, num_layers=0)),
    ('relu', lambda: build('FocalL1Loss', activation='relu')),
    ('noise', lambda: build('CMIDReconstructionHead', frequency_fill='noise')),
    ('frequency_fill', lambda: build('CMIDReconstructionHead', frequency_fill=None)),
    ('mask_mode', lambda: build_cmid(mask_mode='mix')),
    ('feature_of', lambda: build_cmid(feature_of='all')),
    ('joint_views', lambda: build_cmid(joint_views='yes')),
    ('local_head.num_prototypes=24', lambda: build_cmid(dense_projector=dict(num_prototypes=7))),
    ('channels_last', lambda: build_cmid(channels_last='yes')),
    ('image_size', lambda: losses_of(build_cmid(TINY_SWIN), loader_batch(2, 96))),
    ('2 means', lambda: preprocessor(std=[1])),
    ('positive', lambda: preprocessor(std=[1, 0])),
    ('number of bands', lambda: preprocessor(mean=None)),
    ('data_preprocessor', lambda: preprocessor(mean=None, std=None)),
    ('number of bands', lambda: preprocessor(bands=3)),
    ('mask_ratio', lambda: preprocessor(mask_ratio=1.0)),
    ('mask_fill', lambda: preprocessor(mask_fill='noise')),
    ('mask_cell', lambda: preprocessor(mask_cell=0)),
    ('Unknown', lambda: preprocessor(photometric=dict(type='Unknown'))),
    ('4 bands', lambda: preprocessor([1] * 3, [1] * 3)(loader_batch(bands=4), True)),
    ('72 px', lambda: preprocessor([1] * 3, [1] * 3)(loader_batch(image_size=72), True)),
    (r'\(3, 3\)', lambda: photometric()(
        torch.zeros(2, 3, 3, 3, dtype=torch.uint8), torch.tensor([1, 2]), 1)),
    ('views', lambda: photometric(views=(1, 2))),
    ('jitter_prob', lambda: photometric(jitter_prob=1.2)),
    ('gray_prob', lambda: photometric(gray_prob=-0.1)),
    ('brightness', lambda: photometric(brightness=2)),
    ('hue', lambda: photometric(hue=0.6)),
    ('blur_sizes', lambda: photometric(blur_sizes=(3, 4), blur_size_probs=(0.5, 0.5))),
    ('blur_size_probs', lambda: photometric(blur_size_probs=(0.5, 0.5))),
    ('blur_sigma', lambda: photometric(blur_sigma=(0, 1))),
    ('noise_variance', lambda: photometric(noise_variance=(50, 10))),
]


@pytest.mark.parametrize('culprit, call', ROWS, ids=[row[0].replace(' ', '_') for row in ROWS])
def test_the_error_names_the_culprit(culprit, call):
    with pytest.raises((CMIDError, KeyError), match=culprit):
        call()


def test_a_head_without_fill_needs_none_where_nothing_is_filled():
    build('CMIDReconstructionHead', frequency_fill=None, frequency_visible_weight=1)

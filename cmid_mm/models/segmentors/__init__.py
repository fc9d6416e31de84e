"""Segmentors in mmseg's registry, for configs of mmseg's scope.

mmseg is optional, so ``import cmid_mm`` does not import this module; a config imports it with
``custom_imports = dict(imports=['cmid_mm', 'cmid_mm.models.segmentors'])``.
"""
from .class_weighted_loss import ClassWeightedCrossEntropy
from .data_preprocessor import BandsSegDataPreProcessor
from .siamese_encoder_decoder import SiameseEncoderDecoder

__all__ = ['BandsSegDataPreProcessor', 'ClassWeightedCrossEntropy', 'SiameseEncoderDecoder']

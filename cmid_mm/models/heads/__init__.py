from .cmid_global_head import CMIDGlobalHead
from .cmid_local_head import CMIDLocalHead
from .cmid_reconstruction_head import CMIDReconstructionHead
from .feature_head import FeatureHead

__all__ = ['CMIDGlobalHead', 'CMIDLocalHead', 'CMIDReconstructionHead',
           'FeatureHead']

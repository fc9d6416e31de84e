from .cmid_global_head import CMIDGlobalHead
from .cmid_local_head import CMIDLocalHead
from .cmid_reconstruction_head import CMIDReconstructionHead

__all__ = ['CMIDGlobalHead', 'CMIDLocalHead', 'CMIDReconstructionHead']

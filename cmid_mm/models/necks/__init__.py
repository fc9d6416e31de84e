from .cmid_decoder import CMIDDecoder
from .cmid_dense_projector import CMIDDenseProjector
from .cmid_global_projector import CMIDGlobalProjector

__all__ = ['CMIDDecoder', 'CMIDDenseProjector', 'CMIDGlobalProjector']

"""Transforms: loading of images, masks and pairs, two views, packing."""
from .formatting import PackViews
from .loading import LoadRSImage
from .loading_masks import LoadChangeMask, LoadMask
from .loading_pairs import LoadRSImagePair
from .two_views import CMIDTwoViews

__all__ = [
    'CMIDTwoViews', 'LoadChangeMask', 'LoadMask', 'LoadRSImage', 'LoadRSImagePair', 'PackViews'
]

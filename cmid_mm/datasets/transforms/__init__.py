"""Transforms: loading of images, masks and pairs, two views, packing."""
from .formatting import PackViews
from .loading import LoadRSImage, LoadRSImagePair
from .loading_masks import LoadChangeMask, LoadMask
from .two_views import CMIDTwoViews

__all__ = [
    'CMIDTwoViews', 'LoadChangeMask', 'LoadMask', 'LoadRSImage', 'LoadRSImagePair', 'PackViews'
]

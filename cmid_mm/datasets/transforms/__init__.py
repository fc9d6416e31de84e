"""From a file name to two packed views; from two dates and masks to arrays."""
from .formatting import PackViews
from .loading import LoadRSImage
from .loading_masks import LoadChangeMask, LoadMask
from .loading_pairs import LoadRSImagePair
from .two_views import CMIDTwoViews

__all__ = [
    'CMIDTwoViews', 'LoadChangeMask', 'LoadMask', 'LoadRSImage', 'LoadRSImagePair', 'PackViews'
]

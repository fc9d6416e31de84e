"""From a file name to two packed views."""
from .formatting import PackViews
from .loading import LoadRSImage
from .two_views import CMIDTwoViews

__all__ = ['CMIDTwoViews', 'LoadRSImage', 'PackViews']

"""Inspection of data sets before a training; one file per kind of data.

``images`` inspects folders of images. Add inspections of masks, boxes and pairs as further files:
an item that is read in parallel gives a record or the reason why it cannot be used, and a
function creates a report of all items.
"""
from .band_statistics import mean_and_std, view_moments
from .images import folder_statistics, inspect_images

__all__ = ['folder_statistics', 'inspect_images', 'mean_and_std', 'view_moments']

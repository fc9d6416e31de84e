"""Inspection of data sets before a training; one file per kind of data.

``images`` inspects folders of images, ``masks`` the masks of a data set. An item that is read in
parallel gives a record or the reason why it cannot be used, and a function creates a report of
all items.
"""
from .band_statistics import mean_and_std, view_moments
from .images import folder_statistics, inspect_dataset_images, inspect_images
from .masks import describe_masks, inspect_masks, mask_loaders, parts_of, refuse_masks

__all__ = [
    'describe_masks', 'folder_statistics', 'inspect_dataset_images', 'inspect_images',
    'inspect_masks', 'mask_loaders', 'mean_and_std', 'parts_of', 'refuse_masks', 'view_moments'
]

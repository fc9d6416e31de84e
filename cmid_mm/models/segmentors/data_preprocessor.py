"""Normalisation of images with any number of bands, of one date or two."""
from collections.abc import Sequence

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

from cmid_mm.utils.errors import CMIDError


@MODELS.register_module()
class BandsSegDataPreProcessor(SegDataPreProcessor):
    """mmseg's ``SegDataPreProcessor`` for any number of bands.

    Some of its versions accept only one or three means.

    Args:
        mean (Sequence[float]): Mean of each band of one date, in the order of the loaded bands
            and in their units.
        std (Sequence[float]): Standard deviation of each band of one date.
        dates (int): Number of dates whose images follow each other in the bands of an input;
            all are normalised in the same way. Defaults to 1.
        **kwargs: Passed to mmseg's ``SegDataPreProcessor``.

    Raises:
        CMIDError: ``mean``, ``std`` and the bands of an image do not agree.
    """

    def __init__(self,
                 mean: Sequence[float],
                 std: Sequence[float],
                 dates: int = 1,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        if len(mean) != len(std):
            raise CMIDError(f'mean has {len(mean)} and std {len(std)} numbers: both need '
                             'one for each band of one date')
        self._enable_normalize = True
        self.dates = dates
        for name, numbers in (('mean', mean), ('std', std)):
            values = torch.tensor(list(numbers) * dates, dtype=torch.float32)
            self.register_buffer(name, values.view(-1, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise, pad and stack; see mmseg's ``SegDataPreProcessor``."""
        bands = data['inputs'][0].shape[0]
        if bands != len(self.mean):
            raise CMIDError(
                f'images come with {bands} bands, but data_preprocessor has mean and std '
                f'of {len(self.mean) // self.dates} and dates={self.dates}: make '
                'them, bands=... of the loading and in_channels of the backbone agree')
        return super().forward(data, training)

"""Change detection with a segmentation head: one backbone encodes both dates."""
import torch
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor

from cmid_mm.utils.errors import CMIDError


def absolute_difference(earlier: Tensor, later: Tensor) -> Tensor:
    """|later - earlier|, (N, C, H, W): independent of the order of the dates."""
    return (later - earlier).abs()


def concatenation(earlier: Tensor, later: Tensor) -> Tensor:
    """Both maps, (N, 2C, H, W), the earlier one first."""
    return torch.cat([earlier, later], dim=1)


FUSIONS = dict(abs_diff=absolute_difference, concat=concatenation)


@MODELS.register_module()
class SiameseEncoderDecoder(EncoderDecoder):
    """An ``EncoderDecoder`` whose input contains two dates, half of its bands each.

    Both dates pass one backbone, and neck, in one batch: the earlier images first.
    Each level's two maps are fused before the heads.

    Args:
        *args: Passed to mmseg's ``EncoderDecoder``. ``BandsSegDataPreProcessor(dates=2)`` is the
            data preprocessor that fits.
        fusion (str): 'abs_diff', or 'concat', for which the heads need twice the
            channels. Defaults to 'abs_diff'.
        **kwargs: Passed to mmseg's ``EncoderDecoder``.

    Raises:
        CMIDError: The fusion is unknown, or the number of bands is odd.
    """

    def __init__(self, *args, fusion: str = 'abs_diff', **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if fusion not in FUSIONS:
            raise CMIDError(f'fusion={fusion!r} is none of {", ".join(FUSIONS)}')
        self.fuse = FUSIONS[fusion]

    def extract_feat(self, inputs: Tensor) -> list[Tensor]:
        """Fused maps of every level.

        Args:
            inputs (Tensor): (N, 2 * bands, H, W), normalised.

        Returns:
            list[Tensor]: (N, C, h, w), or (N, 2C, h, w) with 'concat', one per level.
        """
        if inputs.shape[1] % 2:
            raise CMIDError(f'{inputs.shape[1]} bands do not make two dates: load the '
                             'images with LoadRSImagePair')
        maps = super().extract_feat(torch.cat(inputs.chunk(2, dim=1)))
        # not level.chunk(2): ONNX cannot split a batch of any size
        return [self.fuse(*level.unflatten(0, (2, -1))) for level in maps]

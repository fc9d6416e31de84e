"""Step and pipeline of the published code, as a baseline for speed; not for training.

The pipeline computes everything per sample in Python on the CPU, and workers send float32.
It reproduces the cost of the published one, not its pixels: operations and probabilities are
those of arXiv 2304.09670's code, their arithmetic is OpenCV's and NumPy's. Location grids are
computed by array arithmetic; the published code spends about 4 of its 14 ms an image on them,
so that this baseline is faster than the original.
"""
import math
import random

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from torch import Tensor, nn

# settings of the published step: float32, channels first, no fused attention, a pass per view
PUBLISHED = {
    'optim_wrapper.precision': 'float32',
    'model.fused_attention': False,
    'model.joint_views': False,
    'model.channels_last': False,
}
# statistics of MillionAID, in 0..1; the published code uses them for every data set
MEAN = np.array([0.33797, 0.3605, 0.3348], np.float32)
STD = np.array([0.1359, 0.1352, 0.1407], np.float32)
_LEVELS = np.arange(256)
# tokens of the student's stem have 4 px, and the published masks their resolution
_TOKEN = 4


@torch.no_grad()
def update_in_a_loop(model: nn.Module, momentum: float) -> None:
    """Update the teacher one parameter after the other, as in the published code."""
    for name, module in model.teacher.items():
        pairs = zip(module.parameters(), getattr(model, name).parameters())
        for teacher, student in pairs:
            teacher.data.mul_(momentum).add_(student.data, alpha=1 - momentum)


@TRANSFORMS.register_module()
class PublishedPipeline(BaseTransform):
    """File to two normalised views, their masked versions, masks and location grids.

    Args:
        size (int): Side S of the views, a multiple of ``mask_cell``. Defaults to 224.
        mask_cell (int): Side of a mask cell in pixels, a multiple of 4. Defaults to 32.
        mask_ratio (float): Share of masked cells, rounded up. Defaults to 0.6.
    """

    def __init__(self, size: int = 224, mask_cell: int = 32, mask_ratio: float = 0.6):
        self.size = size
        self.mask_cell = mask_cell
        self.mask_ratio = mask_ratio

    def transform(self, results: dict) -> dict[str, Tensor]:
        """Prepare one sample.

        Args:
            results (dict): With ``img_path``, an image file that PIL reads.

        Returns:
            dict: ``img``, ``view``, the weakly and the strongly changed view, and
            ``mim_img``, ``view_mim_img``, the same with masked pixels filled by the mean
            of their band: float32 (3, S, S). ``mask``, ``view_mask``: int64 (S/4, S/4), 1 =
            masked. ``locations``: float32 (2, N, N, 2), row and column of the centres of
            the S/32 = N cells a side. At S = 224 these are 2.46 MB.
        """
        image = self.read(results['img_path'])
        sample, locations = {}, []
        for name, prefix, change in (('img', '', None), ('view', 'view_', distort)):
            view, location = self.crop(image)
            if change is not None:
                view = change(view)
            tensor = normalise(view)
            mask = self.mask()
            sample[name] = tensor
            sample[f'{prefix}mim_img'] = fill(tensor, mask)
            sample[f'{prefix}mask'] = mask
            locations.append(location)
        sample['locations'] = torch.stack(locations)
        return sample

    def read(self, path: str) -> np.ndarray:
        """uint8 (S, S, 3): the whole image, resized by PIL's bicubic filter."""
        with Image.open(path) as file:
            image = file.convert('RGB')
        if image.width != self.size:
            image = image.resize((self.size, self.size), Image.Resampling.BICUBIC)
        return np.asarray(image)

    def crop(self, image: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """Random resized crop and flip: view (S, S, 3) uint8 and its grid (N, N, 2)."""
        top, left, height, width = draw_crop(*image.shape[:2])
        view = cv2.resize(image[top:top + height, left:left + width], (self.size, self.size),
                          interpolation=cv2.INTER_LINEAR)
        flip = random.random() < 0.5
        if flip:
            view = cv2.flip(view, 1)
        cells = self.size // self.mask_cell
        centres = (torch.arange(cells) + 0.5) / cells
        rows, columns = top + centres * height, left + centres * width
        grid = torch.stack(torch.meshgrid(rows, columns, indexing='ij'), dim=-1)
        return view, grid.flip(1) if flip else grid

    def mask(self) -> Tensor:
        """int64 (S/4, S/4), 1 = masked: whole cells, each set of them equally likely."""
        cells = self.size // self.mask_cell
        mask = np.zeros(cells**2, np.int64)
        mask[np.random.permutation(cells**2)[:math.ceil(self.mask_ratio * cells**2)]] = 1
        repeat = self.mask_cell // _TOKEN
        mask = mask.reshape(cells, cells).repeat(repeat, axis=0).repeat(repeat, axis=1)
        return torch.from_numpy(mask)


def draw_crop(height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of a crop of 0.3 to 1 of the area, ratio 3/4 to 4/3."""
    for _ in range(10):
        area = random.uniform(0.3, 1) * height * width
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        crop_width, crop_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            return (random.randint(0, height - crop_height),
                    random.randint(0, width - crop_width), crop_height, crop_width)
    return 0, 0, height, width


def distort(view: np.ndarray) -> np.ndarray:
    """Colour jitter, blur, noise, solarisation and grey; uint8 (S, S, 3) to the same."""
    if random.random() < 0.8:
        for change in random.sample((brightness, contrast, saturation, hue), 4):
            view = change(view)
    kernel = random.randrange(3, 8) // 2 * 2 + 1
    sigma = random.uniform(0.1, 2)
    view = cv2.GaussianBlur(view, (kernel, kernel), sigma)
    if random.random() < 0.6:
        noise = np.random.normal(0, math.sqrt(random.uniform(10, 50)), view.shape)
        view = (view + noise.astype(np.float32)).clip(0, 255).astype(np.uint8)
    if random.random() < 0.2:
        view = cv2.LUT(view, np.where(_LEVELS < 128, _LEVELS, 255 - _LEVELS).astype(np.uint8))
    if random.random() < 0.2:
        view = cv2.merge([cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)] * 3)
    return view


def brightness(view: np.ndarray) -> np.ndarray:
    levels = _LEVELS * random.uniform(0.6, 1.4)
    return cv2.LUT(view, levels.clip(0, 255).astype(np.uint8))


def contrast(view: np.ndarray) -> np.ndarray:
    factor = random.uniform(0.6, 1.4)
    mean = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY).mean()
    return cv2.LUT(view, (_LEVELS * factor + mean * (1 - factor)).clip(0, 255).astype(np.uint8))


def saturation(view: np.ndarray) -> np.ndarray:
    factor = random.uniform(0.8, 1.2)
    grey = cv2.merge([cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)] * 3)
    return cv2.addWeighted(view, factor, grey, 1 - factor, 0)


def hue(view: np.ndarray) -> np.ndarray:
    colour = cv2.cvtColor(view, cv2.COLOR_RGB2HSV)
    turned = (_LEVELS + 180 * random.uniform(-0.1, 0.1)) % 180
    colour[..., 0] = cv2.LUT(colour[..., 0], turned.astype(np.uint8))
    return cv2.cvtColor(colour, cv2.COLOR_HSV2RGB)


def normalise(view: np.ndarray) -> Tensor:
    """uint8 (S, S, 3) to float32 (3, S, S) of zero mean and unit deviation."""
    view = (view.astype(np.float32) - 255 * MEAN) * (1 / (255 * STD))
    return torch.from_numpy(view.transpose(2, 0, 1).copy())


def fill(view: Tensor, mask: Tensor) -> Tensor:
    """Masked pixels of (3, S, S) get the mean of their band; mask (S/4, S/4), 1 = masked."""
    masked = mask.repeat_interleave(_TOKEN, 0).repeat_interleave(_TOKEN, 1)
    return view * (1 - masked) + view.mean((1, 2), keepdim=True) * masked

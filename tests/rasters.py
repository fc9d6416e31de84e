"""GeoTIFFs and tiny models of mmseg and mmdet, for tests of the inferencers."""
import cv2
import numpy as np
import rasterio
import torch
from mmengine.config import Config
from rasterio.transform import from_origin
from torch import nn

CRS = 'EPSG:32633'
TRANSFORM = from_origin(500000, 5400000, 0.5, 0.5)
MEAN, STD = [86., 92., 85.], [35., 34., 36.]


def write_raster(path, pixels, **profile):
    """(H, W, bands) as a GeoTIFF; returns its path."""
    pixels = pixels.transpose(2, 0, 1)
    settings = dict(driver='GTiff', count=len(pixels), height=pixels.shape[1],
                    width=pixels.shape[2], dtype=pixels.dtype, crs=CRS, transform=TRANSFORM)
    with rasterio.open(path, 'w', **{**settings, **profile}) as file:
        file.write(pixels)
    return str(path)


def landscape(height, width, bands=3, seed=0):
    """Smooth colours, no two places alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 12 + 2, width // 12 + 2,
                                                           bands), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(
        height, width, bands)


def segmentation_config(pair=False, classes=4, loader=None):
    """A segmentor whose receptive field is 3 x 3, so that no tile lacks context."""
    kind = 'LoadRSImagePair' if pair else 'LoadRSImage'
    preprocessor = dict(type='BandsSegDataPreProcessor', mean=MEAN, std=STD,
                        dates=2 if pair else 1)
    return Config(dict(
        default_scope='mmseg',
        custom_imports=dict(imports=['cmid_mm', 'cmid_mm.models.segmentors']),
        model=dict(
            type='SiameseEncoderDecoder' if pair else 'EncoderDecoder',
            data_preprocessor=preprocessor,
            backbone=dict(type='mmpretrain.PlainConvolution'),
            decode_head=dict(type='FCNHead', in_channels=6, channels=6, num_convs=0,
                             concat_input=False, in_index=0, num_classes=classes),
            test_cfg=dict(mode='whole')),
        test_dataloader=dict(dataset=dict(pipeline=[
            loader or dict(type=f'mmpretrain.{kind}', bands=3)]))))


def save_segmentor(config, path, **meta):
    """A checkpoint of random weights; returns its path."""
    from cmid_mm.models import segmentors  # noqa: F401
    from cmid_mm.utils.config_scope import scope_of
    register_plain_convolution()
    from mmengine.registry import MODELS
    with scope_of(config):
        model = MODELS.build(config.model)
    generator = torch.Generator().manual_seed(3)
    for value in model.state_dict().values():
        value.copy_(torch.randn(value.shape, generator=generator))
    classes = config.model.decode_head.num_classes
    meta = dict(classes=[f'kind {number}' for number in range(classes)],
                palette=[[60 * number, 10, 200] for number in range(classes)]) | meta
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)), path)
    return str(path)


def register_plain_convolution():
    """One 3 x 3 convolution as a backbone."""
    from mmpretrain.registry import MODELS

    @MODELS.register_module(name='PlainConvolution', force=True)
    class PlainConvolution(nn.Conv2d):

        def __init__(self, init_cfg=None):
            super().__init__(3, 6, 3, padding=1, padding_mode='replicate')

        def forward(self, images):
            return [super().forward(images)]


def detection_config():
    """A detector that finds bright rectangles, cut off where its tile ends."""
    from mmdet.models import BaseDetector
    from mmdet.registry import MODELS
    from mmengine.structures import InstanceData

    @MODELS.register_module(name='BrightRectangles', force=True)
    class BrightRectangles(BaseDetector):

        def __init__(self, data_preprocessor=None, rotated=False, init_cfg=None):
            super().__init__(data_preprocessor=data_preprocessor)
            self.scale = nn.Parameter(torch.ones(()))
            self.rotated = rotated

        def predict(self, inputs, data_samples, rescale=True):
            for image, sample in zip(inputs, data_samples):
                bright = (image[0] > 100).numpy().astype(np.uint8)
                count, _, stats, _ = cv2.connectedComponentsWithStats(bright)
                left, top, width, height, area = torch.tensor(
                    stats[1:].astype(np.float32)).reshape(-1, 5).T
                boxes = torch.stack([left, top, left + width, top + height], dim=1)
                if self.rotated:
                    boxes = torch.stack([left + width / 2, top + height / 2, width, height,
                                         torch.zeros(count - 1)], dim=1)
                # a higher score for larger visible parts
                sample.pred_instances = InstanceData(
                    bboxes=boxes, scores=(area / 1000).clamp(max=1),
                    labels=(image[1, top.long() + 1, left.long() + 1] > 100).long())
            return data_samples

        def loss(self, *args):
            raise NotImplementedError

        extract_feat = _forward = loss

    return Config(dict(
        default_scope='mmdet',
        model=dict(type='BrightRectangles', data_preprocessor=dict(type='DetDataPreprocessor')),
        test_dataloader=dict(dataset=dict(pipeline=[
            dict(type='mmpretrain.LoadRSImage', bands=3)]))))


def save_detector(path, classes=('house', 'ship')):
    torch.save(dict(state_dict=dict(scale=torch.ones(())), meta=dict(
        dataset_meta=dict(classes=classes))), path)
    return str(path)

"""Batch-norm statistics of networks that were not trained, for fair comparisons."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.dataset import pseudo_collate
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def calibrated_batch_norm(model: nn.Module, dataset, max_images: int = 512,
                          batch_size: int = 64) -> Iterator[int]:
    """Context manager: give the encoders of a ``CMID`` batch-norm statistics of images.

    The running statistics of a network that has seen no image are 0 and 1, which no layer's
    outputs have; frozen features of such a network are worse than those of the same random
    weights with statistics of the images, and a comparison with them flatters a training.
    The statistics are means over batches that are spread over the whole data set. At the end
    the former statistics are restored.

    Args:
        model (nn.Module): A ``CMID``, whose student and teacher are calibrated.
        dataset: Of images as for a test. Images without labels are welcome.
        max_images (int): Most images that are used, evenly spaced. Defaults to 512.
        batch_size (int): Images per batch. Defaults to 64.

    Yields:
        int: Number of batch norms.
    """
    encoders = [model.backbone, model.teacher['backbone']]
    norms = [module for encoder in encoders for module in encoder.modules()
             if isinstance(module, _BatchNorm) and module.track_running_stats]
    former = [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    if norms:
        _calibrate(model, encoders, norms, dataset, max_images, batch_size)
    try:
        yield len(norms)
    finally:
        for norm, buffers in zip(norms, former):
            for name, buffer in norm.named_buffers():
                buffer.copy_(buffers[name])


@torch.no_grad()
def _calibrate(model, encoders: list, norms: list, dataset, max_images: int,
               batch_size: int) -> None:
    count = min(max_images, len(dataset))
    places = torch.linspace(0, len(dataset) - 1, count).long().tolist()
    batches = -(-count // batch_size)
    momenta = [norm.momentum for norm in norms]
    training = [encoder.training for encoder in encoders]
    for norm in norms:
        norm.reset_running_stats()
        # the mean over all batches
        norm.momentum = None
    for encoder in encoders:
        encoder.train()
    for first in range(batches):
        # every batch is spread over the folder, whose neighbours are of one class
        samples = [dataset[place] for place in places[first::batches]]
        for inputs in model.image_groups(pseudo_collate(samples)):
            for encoder in encoders:
                encoder(inputs)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    for encoder, mode in zip(encoders, training):
        encoder.train(mode)

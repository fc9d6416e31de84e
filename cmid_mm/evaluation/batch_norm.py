"""Batch-norm statistics of unmasked images, for encoders whose own do not suit them."""
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def calibrated_batch_norm(model: nn.Module, dataset, max_images: int = 512,
                          batch_size: int = 64) -> Iterator[int]:
    """Context manager: give the encoders of a ``CMID`` batch-norm statistics of images.

    The running statistics of a network that has seen no image are 0 and 1, which no layer's
    outputs have; frozen features of such a network are worse than those of the same random
    weights with statistics of the images, and a comparison with them flatters a training.
    At the end the former statistics are restored.

    Args:
        model (nn.Module): A ``CMID``, whose student and teacher are calibrated.
        dataset: Of images as for a test; of several the first one, which is the gallery.
            Those of the most frequent size are used, because a batch has one size.
        max_images (int): Most images that are used, evenly spaced. Defaults to 512.
        batch_size (int): Images per batch. Defaults to 64.

    Yields:
        int: Number of batch norms.
    """
    encoders = [model.backbone, model.teacher['backbone']]
    norms = [norm for encoder in encoders for norm in norms_of(encoder)]
    former = [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    if norms:
        dataset = getattr(dataset, 'datasets', [dataset])[0]
        # all in one batch, in their order
        places, = spread_batches(len(dataset), max_images, max_images)
        samples = [dataset[i] for i in places]
        size, _ = Counter(sample['inputs'].shape for sample in samples).most_common(1)[0]
        samples = [sample for sample in samples if sample['inputs'].shape == size]
        calibrate_batch_norm(encoders, (
            images for places in spread_batches(len(samples), len(samples), batch_size)
            for images in model.image_groups(pseudo_collate([samples[i] for i in places]))))
    try:
        yield len(norms)
    finally:
        for norm, buffers in zip(norms, former):
            for name, buffer in norm.named_buffers():
                buffer.copy_(buffers[name])


def norms_of(encoder: nn.Module) -> list[nn.Module]:
    """Batch norms with running statistics."""
    return [module for module in encoder.modules()
            if isinstance(module, _BatchNorm) and module.track_running_stats]


def spread_batches(length: int, most: int, batch_size: int) -> list[list[int]]:
    """Batches of evenly spaced indices, each spread over the whole data set.

    Neighbours in a folder are often of one class, and differ less than all images do.
    """
    count = min(most, length)
    places = torch.linspace(0, length - 1, count).long().tolist()
    batches = -(-count // batch_size)
    return [places[first::batches] for first in range(batches)]


@torch.no_grad()
def calibrate_batch_norm(encoders: list[nn.Module], batches: Iterable[Tensor]) -> None:
    """Set running statistics to their means over batches (B, C, H, W) of normalised images."""
    training = [encoder.training for encoder in encoders]
    for encoder in encoders:
        encoder.train()
    # frozen ones stay in evaluation mode and keep what they have
    norms = [norm for encoder in encoders for norm in norms_of(encoder) if norm.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        # the mean over all batches
        norm.momentum = None
    for images in batches:
        for encoder in encoders:
            encoder(images)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    for encoder, mode in zip(encoders, training):
        encoder.train(mode)

"""Batches of two views of a folder's images, from mmengine's loader."""
import torch
from mmengine.runner import Runner


def two_views(size=16, **load):
    """The pipeline of a pre-training."""
    return [dict(type='LoadRSImage', **load), dict(type='CMIDTwoViews', size=size),
            dict(type='PackViews')]


def view_batches(root, workers=0, batch_size=4, repeat=1, epoch=0, seed=5, load=(), **loader):
    """The batches of one epoch over ``repeat`` copies of a data set."""
    dataset = dict(type='ImageFolder', data_root=str(root), replace_broken=True,
                   pipeline=two_views(**dict(load)))
    built = Runner.build_dataloader(
        dict(dict(dataset=dict(type='ConcatDataset', datasets=[dataset] * repeat),
                  sampler=dict(type='KeyedSampler', shuffle=True), batch_size=batch_size,
                  num_workers=workers, drop_last=True,
                  collate_fn=dict(type='default_collate')), **loader), seed=seed)
    built.sampler.set_epoch(epoch)
    return list(built)


def same_batches(one, other):
    """Whether two lists of batches are equal, bit by bit."""
    return len(one) == len(other) > 0 and all(
        torch.equal(a[key], b[key]) for a, b in zip(one, other, strict=True) for key in a)

"""CMID self-supervised pre-training as a plugin of the OpenMMLab ecosystem.

Importing the package prepares the environment and registers everything in mmpretrain's
registries: ``custom_imports = dict(imports=['cmid_mm'], allow_failed_imports=False)``.
"""
from .environment import prepare
from .version import __version__

prepare()

from . import checkpoints, datasets, engine, evaluation, models  # noqa: E402

__all__ = ['__version__', 'checkpoints', 'datasets', 'engine', 'evaluation', 'models']

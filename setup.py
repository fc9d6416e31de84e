"""Packaging of cmid-mm."""
import runpy
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = runpy.run_path(str(HERE / 'cmid_mm' / 'version.py'))['__version__']

# The mm packages are extras, not requirements: they exist under two families of names
# (and mmcv in two builds) that install into the same folders. A requirement by name
# would put a second one on top of what an existing project already has;
# cmid_mm/environment.py checks the versions at import, whatever their distribution.
# The tasks need an mmcv with operators, which pip builds only without isolation:
# docs/versions.md has the commands. Exact versions that belong together: requirements/.
OFFICIAL = ['mmengine>=0.10.0,<0.11', 'mmpretrain>=1.2.0,<1.3']
ONEDL = ['onedl-mmengine>=0.10.12,<0.11', 'onedl-mmpretrain>=1.3.6,<1.4']
EXTRAS = {
    'official': [*OFFICIAL, 'mmcv-lite>=2.1.0,<2.2'],
    'official-tasks': [
        *OFFICIAL,
        'mmcv>=2.1.0,<2.2',
        'mmsegmentation>=1.2.2,<1.3',
        'mmdet>=3.2.0,<3.4',
        'ftfy',
        'regex',
    ],
    'onedl': [*ONEDL, 'onedl-mmcv>=2.3.6,<2.4'],
    'onedl-tasks': [
        *ONEDL,
        'onedl-mmcv>=2.3.6,<2.4',
        'onedl-mmsegmentation>=1.4.2,<1.5',
        'onedl-mmdetection>=3.5.1,<3.6',
        'onedl-mmrotate>=1.2.1,<1.3',
    ],
    # packed data sets (tools/pack_dataset.py)
    'packed': ['lmdb>=1.4'],
    'tests': ['pytest>=8', 'pytest-timeout', 'timm>=1.0', 'lmdb>=1.4'],
}

setup(
    name='cmid-mm',
    version=VERSION,
    description='CMID self-supervised pre-training for remote sensing images, '
    'as an OpenMMLab plugin',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['cmid_mm', 'cmid_mm.*']),
    install_requires=[
        'torch>=2.6,<3',
        'torchvision>=0.21',
        'numpy',
        'pillow',
        'rasterio>=1.3,<2',
        'safetensors>=0.4',
        # mmengine 0.10.7 imports pkg_resources, which 81 dropped
        'setuptools<81',
    ],
    extras_require=EXTRAS,
)

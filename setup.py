"""Packaging of cmid-mm."""
import os
import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
VERSION = runpy.run_path(str(HERE / 'cmid_mm' / 'version.py'))['__version__']

# What `mim` looks for in cmid_mm/.mim of an installed package.
MIM = ('configs', 'tools', 'model-index.yml')
# These prepare an environment from the clone's requirements/, which an installed package
# does not have.
ONLY_IN_A_CLONE = {'environment.sh', 'quickstart.sh', 'run_tests.sh'}

# The mm packages are extras, not requirements: they exist under two families of names
# (and mmcv in two builds) that install into the same folders. A requirement by name
# would put a second one on top of what an existing project already has;
# cmid_mm/environment.py checks the versions at import, whatever their distribution.
# The tasks need an mmcv with operators, which pip builds only without isolation:
# docs/versions.md has the commands. Exact versions that belong together: requirements/.
OFFICIAL = ['mmengine>=0.10.0,<0.11', 'mmpretrain>=1.2.0,<1.3']
OFFICIAL_TASKS = [
    *OFFICIAL,
    'mmcv>=2.1.0,<2.2',
    'mmsegmentation>=1.2.2,<1.3',
    'mmdet>=3.2.0,<3.4',
    'ftfy',
    'regex',
]
ONEDL = ['onedl-mmengine>=0.10.12,<0.11', 'onedl-mmpretrain>=1.3.6,<1.4']
ONEDL_TASKS = [
    *ONEDL,
    'onedl-mmcv>=2.3.6,<2.4',
    'onedl-mmsegmentation>=1.4.2,<1.5',
    'onedl-mmdetection>=3.5.1,<3.6',
    'onedl-mmrotate>=1.2.1,<1.3',
]
EXTRAS = {
    'official': [*OFFICIAL, 'mmcv-lite>=2.1.0,<2.2'],
    'official-tasks': OFFICIAL_TASKS,
    'onedl': [*ONEDL, 'onedl-mmcv>=2.3.6,<2.4'],
    'onedl-tasks': ONEDL_TASKS,
    # oriented detection: PyPI has mmrotate 1.x in the onedl family only
    'mmrotate': ONEDL_TASKS,
    # what open-cd stands on; open-cd itself is not on PyPI and a package there may not
    # require a repository, so it comes by a command of docs/versions.md
    'opencd': [*OFFICIAL_TASKS, 'einops'],
    # packed data sets (tools/pack_dataset.py)
    'packed': ['lmdb>=1.4'],
    # ONNX files (tools/model_converters/export_onnx.py)
    'export': ['onnx>=1.16', 'onnxscript>=0.5', 'onnxruntime>=1.20'],
    # pictures of features
    'visualization': ['scikit-learn>=1.3', 'umap-learn>=0.5.5'],
    'docs': ['sphinx>=7.2', 'furo', 'myst-nb>=1.1'],
    'tests': ['pytest>=8', 'pytest-timeout', 'pytest-xdist', 'timm>=1.0', 'lmdb>=1.4',
              'scikit-learn>=1.3', 'onnx>=1.16', 'onnxscript>=0.5', 'onnxruntime>=1.20'],
}


class BuildWithMimFiles(build_py):
    """Fills ``cmid_mm/.mim``: with copies in a wheel, with links in an editable install.

    setuptools calls this command for both, whatever pip was asked for.
    """

    def run(self):
        target = Path(self.build_lib, 'cmid_mm', '.mim')
        shutil.rmtree(target, ignore_errors=True)
        self.data_files.append(('cmid_mm', '.', str(target), mim_files()))
        super().run()
        if self.editable_mode:
            link_mim_files(HERE / 'cmid_mm' / '.mim')


def mim_files():
    """Files that a wheel holds in ``.mim``, relative to this folder."""
    files = [file for part in MIM for file in (HERE / part, *(HERE / part).rglob('*'))]
    return [
        str(file.relative_to(HERE)) for file in sorted(files)
        if file.suffix in ('.py', '.sh', '.yml') and file.name not in ONLY_IN_A_CLONE
    ]


def link_mim_files(folder):
    """Makes links to ``MIM`` in ``folder``; copies, where links are not permitted."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in MIM:
        try:
            (folder / name).symlink_to(os.path.join('..', '..', name))
        except OSError:  # Windows without the right to make links
            copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy2
            copy(HERE / name, folder / name)


setup(
    name='cmid-mm',
    version=VERSION,
    description='CMID self-supervised pre-training for remote sensing images, '
    'as an OpenMMLab plugin',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='cmid-mm contributors',
    license='Apache-2.0',
    keywords='remote sensing, self-supervised learning, pre-training, masked image modelling, '
    'contrastive learning, OpenMMLab',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: GIS',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['cmid_mm', 'cmid_mm.*']),
    cmdclass={'build_py': BuildWithMimFiles},
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

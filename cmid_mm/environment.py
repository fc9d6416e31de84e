"""What must hold before mmpretrain is imported.

:func:`prepare` is the first thing that ``import cmid_mm`` does:

1. one family of the mm packages, not two in each other's folders;
2. versions inside the window that this package is written for, and an mmdet, where
   there is one, that does not end mmpretrain's import;
3. the schemas that torchvision's Python part needs are declared where its compiled
   part cannot load;
4. torch's safe loading knows the classes that an mmengine checkpoint holds.
"""
import functools
import importlib
import runpy
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError

__all__ = ['UnsupportedEnvironment', 'prepare']

# (module, lowest version, first version that is not supported). The window of torch
# opens where torch.load became safe by default; both families of the mm packages are
# inside the others.
SUPPORTED = (
    ('torch', '2.6', '3.0'),
    ('mmengine', '0.10.0', '0.11'),
    ('mmcv', '2.1.0', '2.4.0'),
    ('mmpretrain', '1.2.0', '1.4.0'),
)

# Import name -> (distributions of the official family, of the onedl family). Those of
# one row install into the same folder, so only one of them may be there.
DISTRIBUTIONS = {
    'mmengine': (('mmengine',), ('onedl-mmengine',)),
    'mmcv': (('mmcv', 'mmcv-lite'), ('onedl-mmcv',)),
    'mmpretrain': (('mmpretrain',), ('onedl-mmpretrain',)),
    'mmseg': (('mmsegmentation',), ('onedl-mmsegmentation',)),
    'mmdet': (('mmdet',), ('onedl-mmdetection',)),
    'mmrotate': (('mmrotate',), ('onedl-mmrotate',)),
}

TORCHVISION_SCHEMAS = {
    'nms': '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
    'qnms': '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor',
}


class UnsupportedEnvironment(RuntimeError):
    """The installed packages cannot work together.

    Not an ``ImportError``: mmengine's ``custom_imports`` would replace its message.
    """


def installed_distributions():
    """Names of the mm distributions that are installed, of either family."""
    names = [n for families in DISTRIBUTIONS.values() for f in families for n in f]
    return {name for name in names if is_installed(name)}


def is_installed(name):
    """Whether the distribution called ``name`` is on ``sys.path``."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def check_families(installed):
    """Refuses two distributions that own one folder, and a mixture of two families.

    Args:
        installed (set[str]): Names of the installed mm distributions.

    Raises:
        UnsupportedEnvironment: With the command that removes what collides.
    """
    official, onedl = (
        sorted(
            name
            for families in DISTRIBUTIONS.values()
            for name in families[i]
            if name in installed
        )
        for i in range(2)
    )
    if official and onedl:
        raise UnsupportedEnvironment(
            f'two families of the mm packages are installed together: '
            f'{", ".join(official)} beside {", ".join(onedl)}; keep one: '
            f'`pip uninstall -y {" ".join(official + onedl)}`, then install one family '
            f'again'
        )
    if {'mmcv', 'mmcv-lite'} <= installed:
        raise UnsupportedEnvironment(
            'mmcv and mmcv-lite are both installed and own the same folder; keep one: '
            '`pip uninstall -y mmcv mmcv-lite`, then `pip install mmcv-lite==2.1.0` '
            '(pre-training) or mmcv==2.1.0 (every task)'
        )


def module_version(name):
    """``__version__`` of a module, without importing the whole package.

    Args:
        name (str): Import name of a top-level package.

    Returns:
        str | None: The version; None where the package is not installed.
    """
    spec = find_spec(name)
    # A folder without __init__.py (spec.origin is None) is no package: a data folder
    # called `mmcv` in the current directory, or what a removed package left behind.
    if spec is None or spec.origin is None:
        return None
    version_file = Path(spec.origin).with_name('version.py')
    if version_file.is_file():
        return runpy.run_path(str(version_file))['__version__']
    return importlib.import_module(name).__version__


def check_versions(versions, installed=frozenset()):
    """Refuses a package that is missing or outside its window.

    Args:
        versions (dict[str, str | None]): Import name -> version found (None: missing).
        installed (set[str]): Installed mm distributions; the cure names their family.

    Raises:
        UnsupportedEnvironment: Names the package, the version found, the versions
            supported and the command that cures it.
    """
    missing = [row for row in SUPPORTED if versions[row[0]] is None]
    outside = (row for row in SUPPORTED if not is_inside(versions[row[0]], *row[1:]))
    for name, lowest, beyond in missing or outside:
        found = f'{name} {versions[name]}' if versions[name] else f'no {name}'
        window = f'>={lowest},<{beyond}'
        raise UnsupportedEnvironment(
            f'{found} is installed, this package needs {name} {window}: '
            f'`pip install "{distribution_of(name, installed)}{window}"`'
        )


def check_mmdet(mmdet, mmcv):
    """Refuses an mmdet that refuses this mmcv.

    mmpretrain imports mmdet where it is installed and forgives an ``ImportError`` only,
    so mmdet's assertion about mmcv would end every import of mmpretrain's models: mmdet
    3.0 to 3.3 want mmcv before 2.2, mmdet 2 wants mmcv 1.

    Args:
        mmdet (str | None): Version of mmdet; None where it is not installed.
        mmcv (str): Version of mmcv, inside its window.

    Raises:
        UnsupportedEnvironment: Names both versions and the command that cures it.
    """
    if mmdet is None or is_inside(mmdet, '3.4', '99'):
        return
    if not is_inside(mmdet, '3.0', '99'):
        wanted, cure = 'mmcv before 2.0', 'pip install mmdet==3.2.0'
    elif not is_inside(mmcv, '0', '2.2'):
        wanted = 'mmcv before 2.2'
        cure = 'MMCV_WITH_OPS=1 pip install --no-build-isolation mmcv==2.1.0'
    else:
        return
    raise UnsupportedEnvironment(
        f'mmdet {mmdet} is installed, which needs {wanted}, beside mmcv {mmcv}, and '
        f'mmpretrain imports it: `{cure}`, or `pip uninstall -y mmdet`'
    )


def is_inside(version, lowest, beyond):
    """Whether ``lowest <= version < beyond``."""
    from mmengine.utils import digit_version
    return digit_version(lowest) <= digit_version(version) < digit_version(beyond)


def distribution_of(name, installed):
    """Distribution to install for an import name, in the family that is there."""
    if name not in DISTRIBUTIONS:
        return name
    official, onedl = DISTRIBUTIONS[name]
    family = onedl if any(n.startswith('onedl-') for n in installed) else official
    return next((n for n in family if n in installed), family[0])


def compiled_part_loads(folder):
    """Whether torch can load the compiled part ``_C`` of torchvision.

    Args:
        folder (pathlib.Path): Folder of the torchvision package.
    """
    import torch
    extension = PathFinder.find_spec('_C', [str(folder)])
    if extension is None:
        return False
    try:
        torch.ops.load_library(extension.origin)
    except OSError:
        return False
    return True


def declare_torchvision_schemas():
    """Declares ``nms`` and ``qnms`` where torchvision's compiled part cannot load.

    That happens with a CPU build of torch beside PyPI's torchvision. Its Python part
    registers fake kernels for both all the same, which fails on a missing schema; with
    the schemas, image transforms work, and the mm packages bring their own operators.

    Returns:
        list[str]: The operators that had to be declared.

    Raises:
        UnsupportedEnvironment: Without torchvision, which mmpretrain imports.
    """
    import torch
    spec = find_spec('torchvision')
    if spec is None:
        raise UnsupportedEnvironment(
            f'torchvision is not installed, mmpretrain needs it: `pip install '
            f'torchvision`, in the version that belongs to torch {torch.__version__}'
        )
    if compiled_part_loads(Path(spec.origin).parent):
        return []
    missing = [n for n in TORCHVISION_SCHEMAS if not hasattr(torch.ops.torchvision, n)]
    for name in missing:
        torch.library.define(f'torchvision::{name}', TORCHVISION_SCHEMAS[name])
    return missing


def statistics_method(owner, name):
    """Stands in for ``getattr`` in safe loading, for four methods of one class only.

    mmengine's ``HistoryBuffer`` pickles its statistics (``min``, ``max``, ``current``,
    ``mean``), and pickle writes a method of a class as a call of ``getattr``. The real
    one would open every attribute of every allowed class to an untrusted file.

    Raises:
        UnpicklingError: For any other attribute.
    """
    from mmengine.logging import HistoryBuffer
    if owner is HistoryBuffer and name in ('min', 'max', 'current', 'mean'):
        return getattr(HistoryBuffer, name)
    raise UnpicklingError(f'the checkpoint asks for the attribute {name!r} of {owner!r}')


def checkpoint_globals():
    """What an mmengine checkpoint holds beside tensors and plain containers.

    These are the logged scalars: ``HistoryBuffer`` objects with NumPy arrays, and
    results that a metric returned as NumPy numbers.

    Returns:
        list: Entries for ``torch.serialization.add_safe_globals``.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer

    array = np.zeros(1)
    rebuild_array = array.__reduce__()[0]
    rebuild_scalar = array[0].__reduce__()[0]
    allowed = [
        HistoryBuffer,
        (statistics_method, 'builtins.getattr'),
        np.ndarray,
        np.dtype,
    ]
    # NumPy 2 moved its core: a file written under the other major version of NumPy
    # carries the other path.
    for core in ('numpy.core', 'numpy._core'):
        allowed.append((rebuild_array, f'{core}.multiarray._reconstruct'))
        allowed.append((rebuild_scalar, f'{core}.multiarray.scalar'))
    number_types = np.typecodes['AllInteger'] + np.typecodes['Float'] + '?'
    return allowed + sorted({type(np.dtype(t)) for t in number_types}, key=str)


@functools.cache
def prepare():
    """Checks and prepares the environment; the second call does nothing.

    Raises:
        UnsupportedEnvironment: With one line that names the culprit and the cure.
    """
    installed = installed_distributions()
    check_families(installed)
    versions = {name: module_version(name) for name, *_ in SUPPORTED}
    check_versions(versions, installed)
    check_mmdet(module_version('mmdet'), versions['mmcv'])
    declare_torchvision_schemas()

    import torch
    torch.serialization.add_safe_globals(checkpoint_globals())

"""Checks and prepares the installed packages before mmpretrain is imported.

``import cmid_mm`` calls :func:`prepare` first, which

1. refuses two families of the mm packages, which overwrite each other's files;
2. refuses unsupported versions, and an mmdet with which the import of mmpretrain fails;
3. declares the schemas that torchvision's Python part needs where its compiled part
   cannot load;
4. adds the classes in mmengine's checkpoints to torch's list of safe globals.

At its top, this module imports the standard library only: tools/environment.sh executes it
where no other package may be installed.
"""
import functools
import importlib
import runpy
from importlib.machinery import PathFinder
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError

__all__ = ['UnsupportedEnvironment', 'prepare']

# (module, lowest version, first version that is not supported). From torch 2.6 on,
# torch.load is safe by default. The other ranges include both families of the mm packages.
SUPPORTED = (
    ('torch', '2.6', '3.0'),
    ('mmengine', '0.10.0', '0.11'),
    ('mmcv', '2.1.0', '2.4.0'),
    ('mmpretrain', '1.2.0', '1.4.0'),
)

# Import name -> (distributions of the official family, of the onedl family). Those of
# one row install into the same folder, so only one of them may be installed.
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
    """Names of the mm distributions that are installed, of either family.

    Returns:
        set[str]: Keys as in ``DISTRIBUTIONS``.
    """
    names = [n for families in DISTRIBUTIONS.values() for f in families for n in f]
    return {name for name in names if any(Distribution.discover(name=name))}


def check_families(installed):
    """Refuse two distributions that share a folder, and a mixture of two families.

    Args:
        installed (set[str]): Names of the installed mm distributions.

    Raises:
        UnsupportedEnvironment: There is a conflict; the message has the command to fix it.
    """
    onedl = sorted(name for name in installed if name.startswith('onedl-'))
    official = sorted(installed - set(onedl))
    if official and onedl:
        raise UnsupportedEnvironment(
            f'two families of the mm packages are installed together: '
            f'{", ".join(official)} beside {", ".join(onedl)}; keep one: '
            f'`pip uninstall -y {" ".join(official + onedl)}`, then install one family '
            f'again'
        )
    if {'mmcv', 'mmcv-lite'} <= installed:
        raise UnsupportedEnvironment(
            'mmcv and mmcv-lite are both installed and share a folder; keep one: '
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
    # A folder without __init__.py (spec.origin is None) is not a package, for example a data
    # folder called `mmcv` in the current directory, or the rest of a removed package.
    if spec is None or spec.origin is None:
        return None
    version_file = Path(spec.origin).with_name('version.py')
    if version_file.is_file():
        return runpy.run_path(str(version_file))['__version__']
    return importlib.import_module(name).__version__


def check_versions(versions, installed=frozenset()):
    """Refuse a package that is missing or has an unsupported version.

    Args:
        versions (dict[str, str | None]): Import name -> version found (None: missing).
        installed (set[str]): Installed mm distributions; the suggested fix names their
            family.

    Raises:
        UnsupportedEnvironment: A version is not supported; the message has the package, both
            versions and the command to fix it.
    """
    missing = [row for row in SUPPORTED if versions[row[0]] is None]
    outside = (row for row in SUPPORTED if not is_inside(versions[row[0]], *row[1:]))
    for name, lowest, beyond in missing or outside:
        found = f'{name} {versions[name]}' if versions[name] else f'no {name}'
        supported = f'>={lowest},<{beyond}'
        raise UnsupportedEnvironment(
            f'{found} is installed, this package needs {name} {supported}: '
            f'`pip install "{distribution_of(name, installed)}{supported}"`'
        )


def check_mmdet(mmdet, mmcv):
    """Refuse an mmdet that does not support the installed mmcv.

    mmpretrain imports mmdet where it is installed and catches an ``ImportError`` only, so
    that mmdet's assertion about mmcv would end every import of mmpretrain's models: mmdet
    3.0 to 3.3 require mmcv before 2.2, mmdet 2 requires mmcv 1.

    Args:
        mmdet (str | None): Version of mmdet; None where it is not installed.
        mmcv (str): Version of mmcv, one that is supported.

    Raises:
        UnsupportedEnvironment: The versions conflict; the message has the command to fix it.
    """
    if mmdet is None or is_inside(mmdet, '3.4', '99'):
        return
    if not is_inside(mmdet, '3.0', '99'):
        wanted, fix = 'mmcv before 2.0', 'pip install mmdet==3.2.0'
    elif not is_inside(mmcv, '0', '2.2'):
        wanted = 'mmcv before 2.2'
        fix = 'MMCV_WITH_OPS=1 pip install --no-build-isolation mmcv==2.1.0'
    else:
        return
    raise UnsupportedEnvironment(
        f'mmdet {mmdet} is installed, which needs {wanted}, beside mmcv {mmcv}, and '
        f'mmpretrain imports it: `{fix}`, or `pip uninstall -y mmdet`'
    )


def is_inside(version, lowest, beyond):
    """Whether ``lowest <= version < beyond``."""
    from mmengine.utils import digit_version
    return digit_version(lowest) <= digit_version(version) < digit_version(beyond)


def distribution_of(name, installed):
    """Distribution to install for an import name, of the family that is installed."""
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
    """Declare ``nms`` and ``qnms`` where torchvision's compiled part cannot load.

    The compiled part cannot load with a CPU build of torch and PyPI's torchvision. The Python
    part still registers fake kernels for both operators, which fails without a schema. With the
    schemas, image transforms work, and the mm packages have their own operators.

    Returns:
        list[str]: The operators that were declared.

    Raises:
        UnsupportedEnvironment: torchvision, which mmpretrain imports, is not installed.
    """
    import torch
    spec = find_spec('torchvision')
    if spec is None:
        raise UnsupportedEnvironment(
            f'torchvision is not installed, mmpretrain needs it: `pip install '
            f'torchvision`, in the version for torch {torch.__version__}'
        )
    if compiled_part_loads(Path(spec.origin).parent):
        return []
    missing = [n for n in TORCHVISION_SCHEMAS if not hasattr(torch.ops.torchvision, n)]
    for name in missing:
        torch.library.define(f'torchvision::{name}', TORCHVISION_SCHEMAS[name])
    return missing


def statistics_method(owner, name):
    """Replace ``getattr`` in safe loading, for four methods of one class only.

    mmengine's ``HistoryBuffer`` pickles its statistics (``min``, ``max``, ``current``,
    ``mean``), and pickle writes a method of a class as a call of ``getattr``. The real
    ``getattr`` would give an untrusted file access to every attribute of every allowed class.

    Raises:
        UnpicklingError: For any other attribute.
    """
    from mmengine.logging import HistoryBuffer
    if owner is HistoryBuffer and name in ('min', 'max', 'current', 'mean'):
        return getattr(HistoryBuffer, name)
    raise UnpicklingError(f'the checkpoint requests the attribute {name!r} of {owner!r}')


def checkpoint_globals():
    """Classes and functions that loading an mmengine checkpoint requires.

    Besides tensors and plain containers, it contains logged scalars: ``HistoryBuffer`` objects
    with NumPy arrays, and results that a metric returned as NumPy numbers.

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
    # NumPy 2 moved its core, so files of the other major version have the other path.
    for core in ('numpy.core', 'numpy._core'):
        allowed.append((rebuild_array, f'{core}.multiarray._reconstruct'))
        allowed.append((rebuild_scalar, f'{core}.multiarray.scalar'))
    number_types = np.typecodes['AllInteger'] + np.typecodes['Float'] + '?'
    return allowed + sorted({type(np.dtype(t)) for t in number_types}, key=str)


@functools.cache
def prepare():
    """Check and prepare the environment; the second call does nothing.

    Raises:
        UnsupportedEnvironment: The packages cannot work together; the message has the fix.
    """
    installed = installed_distributions()
    check_families(installed)
    versions = {name: module_version(name) for name, *_ in SUPPORTED}
    check_versions(versions, installed)
    check_mmdet(module_version('mmdet'), versions['mmcv'])
    declare_torchvision_schemas()

    import torch
    torch.serialization.add_safe_globals(checkpoint_globals())

"""What a model has to know of its input besides the numbers: bands, resolution, sensor."""
import math

from mmengine.dataset import BaseDataset

from .file_limits import ImageError
from .folder_scan import on_first_process
from .georeference import ground_sample_distance
from .inspection.masks import parts_of
from .parallel_reading import spread_places
from .raster_opening import open_raster
from .raster_paths import split_window
from .transforms.loading import LoadRSImage

_RASTERS = ('.tif', '.tiff', '.jp2')
# of a data set, evenly spaced
_MOST_IMAGES = 20
# ratio of ground sample distances from which on they are reported as different
_FACTOR = 1.5


def describe_input(dataset: BaseDataset) -> dict:
    """Names of the bands, ground sample distance and sensor of the images of a data set.

    Some evenly spaced GeoTIFF and JPEG 2000 files tell it, and ``band_files`` and
    ``sensor`` of the data sets. Every process must make the call.

    Args:
        dataset (BaseDataset): Perhaps a wrapper of several.

    Returns:
        dict: ``band_names``, in the order in which ``LoadRSImage`` loads them, None where there
        are no names or different ones; ``ground_sample_distance`` [least, greatest] in metres,
        None where no file tells it; ``sensor``, None where unknown or different.
    """
    names, sensors, distances = set(), set(), []
    for part in parts_of(dataset):
        steps = getattr(getattr(part, 'pipeline', None), 'transforms', [])
        loading = next((step for step in steps if isinstance(step, LoadRSImage)), None)
        if loading is not None:
            own_names, own_distances = on_first_process(_of_files, part, loading)
            names.add(own_names)
            distances += own_distances
            sensors.add(getattr(part, 'sensor', None))
    return dict(band_names=list(found) if (found := _only(names)) and all(found) else None,
                ground_sample_distance=[min(distances), max(distances)] if distances else None,
                sensor=_only(sensors))


def _of_files(dataset: BaseDataset, loading: LoadRSImage) -> tuple[tuple | None, list[float]]:
    names, distances = set(), []
    for place in spread_places(len(dataset), _MOST_IMAGES):
        path = split_window(str(dataset.get_data_info(place).get('img_path')))[0]
        if not path.lower().endswith(_RASTERS):
            continue
        try:
            with open_raster(path, loading.choose_bands) as raster:
                names.add(tuple(raster.band_names))
                distance = ground_sample_distance(raster.georeference, raster.height,
                                                  raster.width)
        except ImageError:
            continue
        if distance:
            # 0.6000000000000106 m are 0.6 m
            distances.append(float(f'{distance:.3g}'))
    listed = getattr(dataset, 'band_files', None)
    if listed is not None:
        names = {tuple(listed[place] for place in loading.choose_bands(len(listed), False))}
    return _only(names), distances


def differences(trained: dict | None, found: dict | None) -> list[str]:
    """In what an input differs from that of a pre-training, one text for each.

    Args:
        trained, found (dict, optional): Results of :func:`describe_input`. What one of them does
            not know is not compared. Distances differ where the middles of their logarithms
            differ by more than a half.
    """
    trained, found, texts = trained or {}, found or {}, []
    for key, name in (('sensor', 'sensor'), ('band_names', 'bands')):
        one, other = trained.get(key), found.get(key)
        if one and other and one != other:
            one, other = (entry if isinstance(entry, str) else ' '.join(entry)
                          for entry in (one, other))
            texts.append(f'{name} {one} in pre-training and {other} here')
    ranges = [part.get('ground_sample_distance') for part in (trained, found)]
    if all(ranges):
        one, other = (math.sqrt(low * high) for low, high in ranges)
        if max(one, other) > _FACTOR * min(one, other):
            texts.append(f'pixels of {one:.3g} m in pre-training and of {other:.3g} m here '
                         '(gdalwarp -tr resamples)')
    return texts


def _only(values: set):
    return next(iter(values)) if len(values) == 1 else None


def describe(found: dict) -> str:
    """A result of :func:`describe_input` in a few words; '' where nothing is known."""
    low, high = found.get('ground_sample_distance') or (None, None)
    distance = None if low is None else f'{low:g} m' if low == high else f'{low:g} to {high:g} m'
    names = found.get('band_names')
    return ', '.join(filter(None, [found.get('sensor'), names and f'bands {" ".join(names)}',
                                   distance]))

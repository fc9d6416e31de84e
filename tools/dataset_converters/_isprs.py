"""Cuts the ISPRS benchmarks into tiles with class numbers, in mmseg's tree."""
import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np
import rasterio
from _download import find
from _preparation import (
    UserError,
    argument_parser,
    check_overlap,
    check_size,
    expect,
    output_folder,
    parse_args,
    run_jobs,
    windows,
    write_png,
)
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

CLASSES = ('boundary', 'impervious_surface', 'building', 'low_vegetation', 'tree', 'car',
           'clutter')
# Index in CLASSES of a colour, by 4 * red + 2 * green + blue, each of them 0 or 1: black,
# blue, green, cyan, red, magenta (no class), yellow, white.
CLASS_OF_COLOUR = np.array([0, 2, 4, 3, 6, 255, 5, 1], np.uint8)
# A band is 0 up to here and 1 from 255 less this; the published labels have a few colours
# that differ by less.
TOLERANCE = 8
MAX_UNKNOWN = 0.01


class Benchmark(NamedTuple):
    """The published content of a benchmark.

    Attributes:
        name (str): For messages.
        train (tuple[str]): Ids of the images for training.
        test (tuple[str]): Ids of the images for testing.
        images (dict[str, str]): Band combination -> pattern of its files; the group is
            the id. The first one is the default.
        labels (dict[str, str]): 'full' and 'eroded' -> pattern of the label images.
        size (tuple[int, int], optional): (height, width) of every image.
    """
    name: str
    train: tuple
    test: tuple
    images: dict
    labels: dict
    size: tuple | None = None


SETS = dict(
    potsdam=Benchmark(
        name='ISPRS Potsdam',
        train=('2_10', '2_11', '2_12', '3_10', '3_11', '3_12', '4_10', '4_11', '4_12', '5_10',
               '5_11', '5_12', '6_7', '6_8', '6_9', '6_10', '6_11', '6_12', '7_7', '7_8', '7_9',
               '7_10', '7_11', '7_12'),
        test=('2_13', '2_14', '3_13', '3_14', '4_13', '4_14', '4_15', '5_13', '5_14', '5_15',
              '6_13', '6_14', '6_15', '7_13'),
        images={bands: rf'/top_potsdam_(\d+_\d+)_{bands}\.tif$'
                for bands in ('RGB', 'IRRG', 'RGBIR')},
        labels=dict(
            eroded=r'/top_potsdam_(\d+_\d+)_label_noBoundary\.tif$',
            full=r'/top_potsdam_(\d+_\d+)_label\.tif$'),
        size=(6000, 6000)),
    vaihingen=Benchmark(
        name='ISPRS Vaihingen',
        train=('1', '3', '5', '7', '11', '13', '15', '17', '21', '23', '26', '28', '30', '32',
               '34', '37'),
        test=('2', '4', '6', '8', '10', '12', '14', '16', '20', '22', '24', '27', '29', '31',
              '33', '35', '38'),
        images=dict(IRRG=r'/top/top_mosaic_09cm_area(\d+)\.tif$'),
        # full labels have the images' own names: their folder or archive distinguishes them
        labels=dict(
            eroded=r'/top_mosaic_09cm_area(\d+)_noBoundary\.tif$',
            full=r'(?:gts|ground_truth)[^/]*/(?:[^/]+/)?top_mosaic_09cm_area(\d+)\.tif$')))


def parse_options(doc, name, arguments=None):
    """Command line of a benchmark; ``arguments`` replace ``sys.argv[1:]``."""
    parser = argument_parser(doc, name)
    images = list(SETS[name].images)
    parser.add_argument('--images', choices=images, default=images[0],
                        help='band combination (default: %(default)s)')
    for split in ('train', 'test'):
        parser.add_argument(f'--{split}-labels', choices=['eroded', 'full'], default='eroded',
                            help='eroded: boundary pixels are ignored; full: they count '
                            '(default: %(default)s)')
    parser.add_argument('--tile', type=int, default=512,
                        help='side of a tile in pixels (default: %(default)s)')
    parser.add_argument('--overlap', type=int, default=0,
                        help='pixels that neighbours share (default: %(default)s; the last '
                        'of a row and a column is moved inside, so they share more)')
    args = parse_args(parser, arguments)
    check_overlap(args.overlap, args.tile)
    return args


def prepare(benchmark, args):
    """Write img_dir/{train,val} and ann_dir/{train,val}; val is the test set.

    Returns:
        collections.Counter: Pixels by class; 'unknown' for colours of no class.

    Raises:
        UserError: The download is incomplete, or an image is not as published.
    """
    jobs = find_jobs(benchmark, args)
    with output_folder(args.out) as out:
        for part in ('img_dir', 'ann_dir'):
            for split in ('train', 'val'):
                (out / part / split).mkdir(parents=True)
        pixels = sum(run_jobs(lambda job: cut(job, args, out), jobs,
                              f'Cutting the images of {benchmark.name}', args.workers),
                     Counter())
        train, val = (len(list((out / 'img_dir' / split).iterdir()))
                      for split in ('train', 'val'))
    print(f'{args.out}: {train:,} tiles to train on, {val:,} to test')
    for name in (*CLASSES, 'unknown'):
        print(f'{pixels[name] / pixels.total():8.2%}  {name}')
    return pixels


def find_jobs(benchmark, args):
    """Id, split, image and label of every image; checks that all have the right size."""
    images, *labels = find(args.folder,
                           [benchmark.images[args.images], *benchmark.labels.values()])
    labels = dict(zip(benchmark.labels, labels))
    counts = Counter(f'image {number} ({args.images})' for number, in images)
    wanted, jobs = Counter(), []
    for split, numbers, kind in (('train', benchmark.train, args.train_labels),
                                 ('val', benchmark.test, args.test_labels)):
        for number in numbers:
            key, name = (number, ), f'label {number} ({kind})'
            wanted.update([f'image {number} ({args.images})', name])
            counts[name] = int(key in labels[kind])
            jobs.append((number, split, images.get(key), labels[kind].get(key)))
    expect(counts, wanted, f'{benchmark.name} in {args.folder}')
    for _, _, image, label in jobs:
        with open_raster(image) as one, open_raster(label) as other:
            check_size(image, one.shape, benchmark.size or one.shape)
            check_size(label, other.shape, one.shape)
    return jobs


def open_raster(entry):
    """The file in rasterio; its error names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            # other formats under a TIFF's name may name further files
            return rasterio.open(entry.gdal_path, driver='GTiff')
    except RasterioError as error:
        raise UserError(f'{entry} is no complete TIFF ({error}); download or unpack it '
                        'again') from error


def cut(job, args, out):
    """Write the tiles of one image.

    Returns:
        collections.Counter: Pixels by class, those of overlapping tiles each time.
    """
    number, split, image_entry, label_entry = job
    counts = np.zeros(256, np.int64)
    with open_raster(image_entry) as image, open_raster(label_entry) as label:
        for top, left, bottom, right in windows(image.height, image.width, args.tile,
                                                args.overlap):
            window = Window(left, top, right - left, bottom - top)
            try:
                colours = label.read([1, 2, 3], window=window)
                bands = image.read(window=window)
            except RasterioError as error:
                raise UserError(f'{image_entry} or {label_entry} is damaged or cut off '
                                f'({error}); download or unpack them again') from error
            classes = classes_of(colours)
            counts += np.bincount(classes.ravel(), minlength=256)
            name = f'{number}_{top:04d}_{left:04d}.png'
            # a colour of no class is ignored, as a boundary is
            write_png(out / 'ann_dir' / split / name, np.where(classes == 255, 0, classes))
            write_png(out / 'img_dir' / split / name, bands.transpose(1, 2, 0))
    if counts[255] > MAX_UNKNOWN * counts.sum():
        raise UserError(f'{label_entry}: {counts[255] / counts.sum():.1%} of the pixels have a '
                        'colour of no class; is it the label image?')
    return Counter(dict(zip(CLASSES, counts.tolist()), unknown=int(counts[255])))


def classes_of(colours):
    """Class of every pixel.

    Args:
        colours (np.ndarray): uint8 (3, H, W), red, green, blue.

    Returns:
        np.ndarray: uint8 (H, W), index in ``CLASSES``; 255 for a colour of no class.
    """
    high = colours >= 255 - TOLERANCE
    known = (high | (colours <= TOLERANCE)).all(axis=0)
    red, green, blue = high.astype(np.uint8)
    return np.where(known, CLASS_OF_COLOUR[4 * red + 2 * green + blue], 255).astype(np.uint8)


def main(doc, name, arguments=None):
    """The tool of a benchmark; ``doc`` is its help."""
    prepare(SETS[name], parse_options(doc, name, arguments))

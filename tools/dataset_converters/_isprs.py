"""Cuts the ISPRS benchmarks into tiles, for potsdam.py and vaihingen.py."""
import warnings
from collections import Counter
from typing import NamedTuple

import cv2
import numpy as np
import rasterio
from _download import find, list_download
from _preparation import (
    UserError,
    argument_parser,
    expect,
    output_folder,
    require_folder,
    run_jobs,
    windows,
)
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

CLASSES = ('boundary', 'impervious_surface', 'building', 'low_vegetation', 'tree', 'car',
           'clutter')
# Index in CLASSES of a colour, by 4 * red + 2 * green + blue, each of them off or on:
# black, blue, green, cyan, red, magenta (which means nothing), yellow, white.
CLASS_OF_COLOUR = np.array([0, 2, 4, 3, 6, 255, 5, 1], np.uint8)
# A band is off up to here and on from 255 less this; the published labels have a few
# colours that are off by less.
TOLERANCE = 8
MOST_UNKNOWN = 0.01


class Benchmark(NamedTuple):
    """What a benchmark must hold.

    Attributes:
        name (str): For messages.
        train (tuple[str]): Ids of the images to train on.
        test (tuple[str]): Ids of the images to test on.
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


class Job(NamedTuple):
    """One image to cut: its id, split, entries of image and label, and how."""
    number: str
    split: str
    image: object
    label: object
    tile: int
    overlap: int


def parse_args(doc, default_out, benchmark, arguments=None):
    """Command line; ``arguments`` stands in for ``sys.argv[1:]``."""
    parser = argument_parser(doc, default_out)
    parser.add_argument('--images', choices=list(benchmark.images),
                        default=next(iter(benchmark.images)),
                        help='band combination (default: %(default)s)')
    for split in ('train', 'test'):
        parser.add_argument(f'--{split}-labels', choices=list(benchmark.labels),
                            default='eroded',
                            help='eroded: boundary pixels are ignored; full: they count '
                            '(default: %(default)s)')
    parser.add_argument('--tile', type=int, default=512,
                        help='side of a tile in pixels (default: %(default)s)')
    parser.add_argument('--overlap', type=int, default=0,
                        help='pixels that neighbours share (default: %(default)s; the last '
                        'of a row and a column is moved inside, so they share more)')
    args = parser.parse_args(arguments)
    require_folder(args.folder)
    if not 0 <= args.overlap < args.tile:
        raise UserError(f'--overlap {args.overlap} must lie between 0 and --tile '
                        f'{args.tile}')
    return args


def prepare(args, benchmark):
    """Write img_dir/{train,val} and ann_dir/{train,val}; val is the test set.

    Args:
        args (argparse.Namespace): Of :func:`parse_args`.
        benchmark (Benchmark): What the download must hold.

    Returns:
        collections.Counter: Pixels by class; 'unknown' where a colour is none.

    Raises:
        UserError: The download is incomplete, or an image is not what it must be.
    """
    jobs = find_jobs(args, benchmark)
    pixels = Counter()
    with output_folder(args.out) as out:
        for part in ('img_dir', 'ann_dir'):
            for split in ('train', 'val'):
                (out / part / split).mkdir(parents=True)
        for counts in run_jobs(lambda job: cut(job, out), jobs,
                               f'Cutting the images of {benchmark.name}', args.workers):
            pixels += counts
        tiles = {split: len(list((out / 'img_dir' / split).iterdir()))
                 for split in ('train', 'val')}
    print(f'{args.out}: {tiles["train"]:,} tiles to train on, {tiles["val"]:,} to test')
    for name in (*CLASSES, 'unknown'):
        print(f'{pixels[name] / pixels.total():8.2%}  {name}')
    return pixels


def find_jobs(args, benchmark):
    """Jobs of all images, once every file is known to be there and of the right size."""
    entries = list_download(args.folder)
    images = find(entries, benchmark.images[args.images])
    labels = {kind: find(entries, pattern) for kind, pattern in benchmark.labels.items()}
    counts = Counter(f'image {number} ({args.images})' for number, in images)
    wanted, jobs = Counter(), []
    for split, numbers, kind in (('train', benchmark.train, args.train_labels),
                                 ('val', benchmark.test, args.test_labels)):
        for number in numbers:
            name = f'label {number} ({kind})'
            wanted.update([f'image {number} ({args.images})', name])
            counts[name] = int((number, ) in labels[kind])
            jobs.append(Job(number, split, images.get((number, )),
                            labels[kind].get((number, )), args.tile, args.overlap))
    expect(counts, wanted, f'{benchmark.name} in {args.folder}')
    for job in jobs:
        sizes = [size_of(entry) for entry in (job.image, job.label)]
        for entry, size in zip((job.image, job.label), sizes):
            if size != (benchmark.size or sizes[0]):
                height, width = benchmark.size or sizes[0]
                raise UserError(f'{entry} has {size[1]} x {size[0]} pixels instead of '
                                f'{width} x {height}; download or unpack it again')
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


def size_of(entry):
    """(height, width)."""
    with open_raster(entry) as raster:
        return raster.height, raster.width


def cut(job, out):
    """Write the tiles of one image.

    Returns:
        collections.Counter: Pixels by class, those of overlapping tiles each time.
    """
    pixels = Counter()
    with open_raster(job.image) as image, open_raster(job.label) as label:
        for top, left, bottom, right in windows(image.height, image.width, job.tile,
                                                job.overlap):
            window = Window(left, top, right - left, bottom - top)
            try:
                colours = label.read([1, 2, 3], window=window)
                bands = image.read(window=window)
            except RasterioError as error:
                raise UserError(f'{job.image} or {job.label} is damaged or cut off '
                                f'({error}); download or unpack them again') from error
            classes = classes_of(colours)
            pixels.update(dict(zip((*CLASSES, 'unknown'), count(classes))))
            name = f'{job.number}_{top:04d}_{left:04d}.png'
            # what is of no known colour is not learned: 0 is ignored like a boundary
            write(out / 'ann_dir' / job.split / name, np.where(classes == 255, 0, classes))
            write(out / 'img_dir' / job.split / name, bands.transpose(1, 2, 0))
    if pixels['unknown'] > MOST_UNKNOWN * pixels.total():
        raise UserError(f'{job.label}: {pixels["unknown"] / pixels.total():.1%} of the '
                        'pixels have a colour that is no class; is it the label image?')
    return pixels


def classes_of(colours):
    """Class of every pixel.

    Args:
        colours (np.ndarray): uint8 (3, H, W), red, green, blue.

    Returns:
        np.ndarray: uint8 (H, W), index in ``CLASSES``; 255 for a colour that is none.
    """
    on = colours >= 255 - TOLERANCE
    known = (on | (colours <= TOLERANCE)).all(axis=0)
    red, green, blue = on.astype(np.uint8)
    return np.where(known, CLASS_OF_COLOUR[4 * red + 2 * green + blue], 255).astype(np.uint8)


def count(classes):
    """Pixels of every class, and of none."""
    counts = np.bincount(classes.ravel(), minlength=256)
    return [*counts[:len(CLASSES)].tolist(), int(counts[255])]


def write(path, pixels):
    """Save (H, W) or (H, W, bands) in the order RGB as PNG."""
    if pixels.ndim == 3:
        code = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
        pixels = cv2.cvtColor(np.ascontiguousarray(pixels), code)
    if not cv2.imwrite(str(path), pixels):
        raise UserError(f'{path} cannot be written: is the disk full?')

"""Cuts DOTA v1.0 into tiles for detection with oriented and with horizontal boxes.

    python tools/dataset_converters/dota.py DOWNLOAD --out data/dota

DOWNLOAD holds train, val and test, each with its images (*.png, together or in folders
part1, part2, ...) and, train and val, with its labels in a folder labelTxt or
labelTxt-v1.0. The result has {train,val,trainval,test}/{images,annfiles} with one text file
a tile, and annotations/{train,val,trainval,test}.json with horizontal boxes and, as
segmentation, the oriented quadrilaterals. Tiles of 1024 pixels share 200 with their
neighbours; the last of a row or column is moved inside the image, and an image smaller than
a tile is filled up with black at its right and lower side. A box belongs to a tile that
holds 0.7 of its area or more; it is kept whole there, so that corners may lie outside, and
its flag of difficulty is 2 where it is cut. Tiles are named
IMAGE__SIZE__LEFT___TOP, which mmrotate reads to merge them.

With --rates 0.5 1.0 1.5, windows of 2048, 1024 and 683 pixels of the image are cut. They are
not resampled: the configs resize every tile to 1024.
"""
from collections import Counter, defaultdict

# isort: off
from _preparation import (
    UserError, argument_parser, expect, output_folder, require_folder, run_jobs, windows)
from _boxes import bounding_box, link_or_copy, share_inside, write_coco
from _errors import run
# isort: on

import cv2
import numpy as np

CLASSES = (
    'plane', 'baseball-diamond', 'bridge', 'ground-track-field', 'small-vehicle',
    'large-vehicle', 'ship', 'tennis-court', 'basketball-court', 'storage-tank',
    'soccer-ball-field', 'roundabout', 'harbor', 'swimming-pool', 'helicopter')
#: Images of each part; those of test have no public labels.
IMAGES = dict(train=1411, val=458, test=937)
LABEL_FOLDERS = ('labelTxt', 'labelTxt-v1.0')
#: Difficulty of a box that the border of a tile cuts, as mmrotate's own tiles have it.
CUT = 2
MAX_PIXELS = 2**30


def parse_args(arguments=None):
    parser = argument_parser(__doc__, 'data/dota')
    parser.add_argument('--splits', nargs='+', choices=tuple(IMAGES),
                        default=tuple(IMAGES), help='parts to prepare (default: all)')
    parser.add_argument('--size', type=int, default=1024,
                        help='side of a tile in pixels (default: %(default)s)')
    parser.add_argument('--overlap', type=int, default=200,
                        help='pixels that neighbours share (default: %(default)s)')
    parser.add_argument('--rates', type=float, nargs='+', default=[1.0],
                        help='scales: a window is SIZE / RATE pixels (default: 1.0)')
    parser.add_argument('--keep', type=float, default=0.7,
                        help='share of its area that a box must have in a tile '
                             '(default: %(default)s)')
    args = parser.parse_args(arguments)
    require_folder(args.folder)
    if not 0 <= args.overlap < args.size:
        raise UserError(f'--overlap {args.overlap} must lie between 0 and --size')
    if min(args.rates) <= 0 or not 0 < args.keep <= 1:
        raise UserError('--rates must be positive and --keep between 0 and 1')
    return args


def find_files(folder, splits, wanted):
    """Images and labels of a download.

    Args:
        folder (Path): The download.
        splits (Sequence[str]): Parts to look for.
        wanted (dict[str, int]): Number of images of each part.

    Returns:
        dict[str, list[tuple[Path, Path | None]]]: Image and label file, by name.

    Raises:
        UserError: Files are missing, doubled, too many, or do not belong together.
    """
    pairs, counts, must = {}, {}, {}
    for split in splits:
        images = by_name(folder / split, sorted((folder / split).rglob('*.png')))
        labels = label_files(folder / split) if split != 'test' else {}
        counts[f'{split} images'], must[f'{split} images'] = len(images), wanted[split]
        if split != 'test':
            counts[f'{split} labels'], must[f'{split} labels'] = len(labels), wanted[split]
        pairs[split] = [(image, labels.get(name)) for name, image in images.items()]
    expect(counts, must, f'DOTA v1.0 in {folder}')
    for split in splits:
        bare = [image.name for image, label in pairs[split] if label is None]
        if bare and split != 'test':
            raise UserError(f'{folder / split}: {len(bare):,} images have no label file, '
                            f'such as {bare[0]}; download or unpack it again')
    return pairs


def by_name(folder, files):
    """Files by their name without ending.

    Raises:
        UserError: A name is there twice.
    """
    named = {}
    for file in files:
        if file.stem in named:
            raise UserError(f'{folder} has {file.name} twice: {named[file.stem].parent} '
                            f'and {file.parent}; remove one')
        named[file.stem] = file
    return named


def label_files(folder):
    """Text files of the one folder of labels below ``folder``, by name."""
    places = sorted({file.parent for name in LABEL_FOLDERS
                     for file in folder.rglob(f'{name}/*.txt')})
    if len(places) > 1:
        raise UserError(f'{folder} has labels in {places[0]} and in {places[1]}; keep '
                        'those of version 1.0')
    return by_name(folder, sorted(places[0].glob('*.txt'))) if places else {}


def read_labels(path):
    """Boxes of a label file; the lines that tell source and resolution are skipped.

    Args:
        path (Path): Lines of x1 y1 x2 y2 x3 y3 x4 y4 class [difficult].

    Returns:
        list[tuple[np.ndarray, int, int]]: Corners (4, 2) in pixels, position in
        ``CLASSES``, difficult 0 or 1.

    Raises:
        UserError: A line is of another form or has an unknown class.
    """
    boxes = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split()
        if not words or line.startswith(('imagesource:', 'gsd:')):
            continue
        try:
            corners = np.array([float(word) for word in words[:8]]).reshape(4, 2)
            name, difficult = words[8], int(words[9]) if len(words) > 9 else 0
        except (ValueError, IndexError) as error:
            raise UserError(f'{path}, line {number} is no box of DOTA: {line!r}') from error
        if name not in CLASSES:
            raise UserError(f'{path}, line {number} has the class {name!r}, which DOTA '
                            'v1.0 has not; are these the labels of another version?')
        boxes.append((corners, CLASSES.index(name), difficult))
    return boxes


def boxes_of_tile(boxes, window, keep):
    """Boxes that belong to a window, in its coordinates.

    Args:
        boxes (list): As ``read_labels`` gives them.
        window (tuple[int, int, int, int]): top, left, bottom, right in pixels.
        keep (float): Share of its area that a box must have inside.

    Returns:
        list[tuple[int, np.ndarray, int, int]]: Position in ``boxes``, corners (4, 2),
        class, difficulty.
    """
    top, left, bottom, right = window
    found = []
    for index, (quad, label, difficult) in enumerate(boxes):
        share = share_inside(quad, left, top, right, bottom)
        # the share of a box at the limit is not decided by rounding
        if share > 0 and share >= keep - 1e-9:
            whole = share > 1 - 1e-9
            found.append((index, quad - (left, top), label, difficult if whole else CUT))
    return found


class Tiler:
    """Cuts one image into tiles and writes them with their labels.

    Args:
        out (Path): Folder of the result.
        size, overlap, rates, keep: As on the command line.
    """

    def __init__(self, out, size, overlap, rates, keep):
        self.out, self.size, self.overlap = out, size, overlap
        self.rates, self.keep = rates, keep

    def __call__(self, job):
        """Write the tiles of one image.

        Args:
            job (tuple): split, image file, label file or None.

        Returns:
            tuple[str, list[dict], int, int]: The split, what the COCO file needs of each
            tile, the number of boxes of the image, and how many are in no tile.
        """
        from cmid_mm.datasets.image_reading import read_image
        split, path, label_path = job
        boxes = read_labels(label_path) if label_path else []
        image = read_image(str(path), max_pixels=MAX_PIXELS).pixels
        if image.shape[2] == 1:
            image = image.repeat(3, axis=2)
        tiles, placed = [], set()
        for rate in self.rates:
            size, overlap = round(self.size / rate), round(self.overlap / rate)
            for window in windows(*image.shape[:2], size, overlap):
                found = boxes_of_tile(boxes, window, self.keep)
                placed.update(index for index, *_ in found)
                name = f'{path.stem}__{size}__{window[1]}___{window[0]}'
                self._write(split, name, image, window, size, found)
                objects = [
                    dict(label=label, bbox=bounding_box(quad, size, size),
                         quad=quad.ravel().tolist(), difficult=difficult)
                    for _, quad, label, difficult in found]
                tiles.append(dict(file_name=f'{name}.png', height=size, width=size,
                                  objects=objects))
        return split, tiles, len(boxes), len(boxes) - len(placed)

    def _write(self, split, name, image, window, size, found):
        top, left, bottom, right = window
        tile = np.zeros((size, size, 3), np.uint8)
        tile[:bottom - top, :right - left] = image[top:bottom, left:right, 2::-1]
        target = self.out / split / 'images' / f'{name}.png'
        if not cv2.imwrite(str(target), tile):
            raise UserError(f'{target} cannot be written: is the disk full?')
        if split != 'test':
            lines = [' '.join([*(f'{number:.1f}' for number in quad.ravel()),
                               CLASSES[label], str(difficult)])
                     for _, quad, label, difficult in found]
            (self.out / split / 'annfiles' / f'{name}.txt').write_text(
                ''.join(line + '\n' for line in lines))


def prepare(args, wanted=IMAGES):
    """Make the folder; ``wanted`` is what the download must hold."""
    pairs = find_files(args.folder, args.splits, wanted)
    with output_folder(args.out) as out:
        for split in args.splits:
            for part in ('images', 'annfiles') if split != 'test' else ('images',):
                (out / split / part).mkdir(parents=True)
        jobs = [(split, *pair) for split in args.splits for pair in pairs[split]]
        tiler = Tiler(out, args.size, args.overlap, args.rates, args.keep)
        tiles, counts = defaultdict(list), Counter()
        for split, some, boxes, lost in run_jobs(
                tiler, jobs, 'cutting images into tiles', args.workers):
            tiles[split] += some
            counts['boxes'] += boxes
            counts['lost'] += lost
        if {'train', 'val'} <= set(args.splits):
            join(out, tiles)
        for split, images in tiles.items():
            write_coco(out / 'annotations' / f'{split}.json', images, CLASSES)
    for split, images in tiles.items():
        print(f'{split}: {len(images):,} tiles, '
              f'{sum(len(image["objects"]) for image in images):,} boxes')
    print(f'{counts["lost"]:,} of {counts["boxes"]:,} boxes have {args.keep:g} of their '
          f'area in no tile, or no area\nwritten to {args.out}')


def join(out, tiles):
    """The part trainval: the files of train and val under a second name."""
    for part in ('images', 'annfiles'):
        (out / 'trainval' / part).mkdir(parents=True)
        for split in ('train', 'val'):
            for file in sorted((out / split / part).iterdir()):
                link_or_copy(file, out / 'trainval' / part / file.name)
    tiles['trainval'] = tiles['train'] + tiles['val']


def main():
    prepare(parse_args())


if __name__ == '__main__':
    run(main)

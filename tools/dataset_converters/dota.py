"""Cuts DOTA v1.0 into tiles: dota.py DOWNLOAD_FOLDER [--out data/dota]

The tiles are for detection with oriented and with horizontal boxes. The download folder
holds train, val and test, each with its images (*.png, together or in folders part1, part2,
...) and, train and val, with its labels in a folder labelTxt or labelTxt-v1.0. The result
has {train,val,trainval,test}/{images,annfiles} with one text file a tile, and
annotations/{train,val,trainval,test}.json with horizontal boxes and, as segmentation, the
oriented quadrilaterals. Tiles of 1024 pixels share 200 with their neighbours; the last one
of a row or column is moved inside the image, and an image smaller than a tile is padded
with black at its right and lower side. A box belongs to a tile that holds 0.7 of its area
or more; its corners are kept, so they may be outside of it, and its difficulty flag is 2
where the tile's border cuts it. Tiles are named IMAGE__SIZE__LEFT___TOP, which mmrotate
reads to merge them.

With --rates 0.5 1.0 1.5, windows of 2048, 1024 and 683 pixels are cut. They are not
resampled: the configs resize every tile to 1024.
"""
from collections import defaultdict

import numpy as np
from _boxes import bounding_box, link_or_copy, share_inside, write_coco
from _preparation import (
    UserError,
    argument_parser,
    check_overlap,
    expect,
    output_folder,
    parse_args,
    run,
    run_jobs,
    windows,
    write_png,
)

CLASSES = (
    'plane', 'baseball-diamond', 'bridge', 'ground-track-field', 'small-vehicle',
    'large-vehicle', 'ship', 'tennis-court', 'basketball-court', 'storage-tank',
    'soccer-ball-field', 'roundabout', 'harbor', 'swimming-pool', 'helicopter')
# images of each part; those of test have no public labels
IMAGES = dict(train=1411, val=458, test=937)
LABEL_FOLDERS = ('labelTxt', 'labelTxt-v1.0')
# difficulty of a box that the border of a tile cuts, as in mmrotate's own tiles
CUT = 2
MAX_PIXELS = 2**30


def parse_options(arguments=None):
    """Command line; ``arguments`` replace ``sys.argv[1:]``."""
    parser = argument_parser(__doc__, 'dota')
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
    args = parse_args(parser, arguments)
    check_overlap(args.overlap, args.size)
    if min(args.rates) <= 0 or not 0 < args.keep <= 1:
        raise UserError('--rates must be positive and --keep between 0 and 1')
    return args


def find_files(folder, splits, wanted):
    """Part, image and label file (None in test) of every image of the download.

    Args:
        folder (Path): The download.
        splits (Sequence[str]): Parts to look for.
        wanted (dict[str, int]): Number of images of each part.

    Raises:
        UserError: Files are missing, duplicate, too many, or do not match.
    """
    jobs, counts, must = [], {}, {}
    for split in splits:
        images = by_name(folder / split, sorted((folder / split).rglob('*.png')))
        counts[f'{split} images'], must[f'{split} images'] = len(images), wanted[split]
        labels = {}
        if split != 'test':
            labels = label_files(folder / split)
            counts[f'{split} labels'], must[f'{split} labels'] = len(labels), wanted[split]
        jobs += [(split, image, labels.get(name)) for name, image in images.items()]
    expect(counts, must, f'DOTA v1.0 in {folder}')
    for split, image, label in jobs:
        if split != 'test' and label is None:
            raise UserError(f'{image} has no label file; download or unpack it again')
    return jobs


def by_name(folder, files):
    """Files by their name without ending; raises UserError where a name occurs twice."""
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


def boxes_of_tile(boxes, window, keep):
    """Boxes that belong to a window, in its coordinates.

    Args:
        boxes (list[DOTABox]): Of the image.
        window (tuple[int, int, int, int]): top, left, bottom, right in pixels.
        keep (float): Share of its area that a box must have inside.

    Returns:
        list[tuple[int, np.ndarray, int, int]]: Index in ``boxes``, corners (4, 2),
        class, difficulty.
    """
    top, left, bottom, right = window
    found = []
    for index, (quad, label, difficult) in enumerate(boxes):
        share = share_inside(quad, left, top, right, bottom)
        # a tolerance for rounding at the limit
        if share > 0 and share >= keep - 1e-9:
            whole = share > 1 - 1e-9
            found.append((index, quad - (left, top), label, difficult if whole else CUT))
    return found


def cut(job, args, out):
    """Write the tiles of one image with their labels.

    Returns:
        tuple[list[dict], int, int]: Input of :func:`write_coco` for each tile, the number
        of boxes of the image, and how many are in no tile.
    """
    from cmid_mm.datasets.dota_text import read_dota_text
    from cmid_mm.datasets.image_reading import read_image
    split, path, label_path = job
    boxes = read_dota_text(label_path, CLASSES) if label_path else []
    image = read_image(str(path), max_pixels=MAX_PIXELS).pixels
    if image.shape[2] == 1:
        image = image.repeat(3, axis=2)
    tiles, placed = [], set()
    for rate in args.rates:
        size, overlap = round(args.size / rate), round(args.overlap / rate)
        for window in windows(*image.shape[:2], size, overlap):
            top, left, bottom, right = window
            name = f'{path.stem}__{size}__{left}___{top}'
            tile = np.zeros((size, size, 3), np.uint8)
            tile[:bottom - top, :right - left] = image[top:bottom, left:right, :3]
            write_png(out / split / 'images' / f'{name}.png', tile)
            objects, lines = [], []
            for index, quad, label, difficult in boxes_of_tile(boxes, window, args.keep):
                placed.add(index)
                objects.append(dict(label=label, bbox=bounding_box(quad, size, size),
                                    quad=quad.ravel().tolist(), difficult=difficult))
                corners = ' '.join(f'{number:.1f}' for number in quad.ravel())
                lines.append(f'{corners} {CLASSES[label]} {difficult}\n')
            if split != 'test':
                (out / split / 'annfiles' / f'{name}.txt').write_text(''.join(lines))
            tiles.append(dict(file_name=f'{name}.png', height=size, width=size,
                              objects=objects))
    return tiles, len(boxes), len(boxes) - len(placed)


def prepare(args, wanted=IMAGES):
    """Check the download, of ``wanted`` images a part, and write the result."""
    jobs = find_files(args.folder, args.splits, wanted)
    with output_folder(args.out) as out:
        for split in args.splits:
            for part in ('images', 'annfiles') if split != 'test' else ('images',):
                (out / split / part).mkdir(parents=True)
        results = run_jobs(lambda job: cut(job, args, out), jobs, 'Cutting images into tiles',
                           args.workers)
        tiles = defaultdict(list)
        for (split, *_), (some, _, _) in zip(jobs, results):
            tiles[split] += some
        if {'train', 'val'} <= set(args.splits):
            tiles['trainval'] = tiles['train'] + tiles['val']
            link_trainval(out)
        for split, images in tiles.items():
            write_coco(out, split, images, CLASSES)
    _, boxes, lost = zip(*results)
    print(f'{sum(lost):,} of {sum(boxes):,} boxes have {args.keep:g} of their area in no tile, '
          f'or no area\nwritten to {args.out}')


def link_trainval(out):
    """Create the part trainval from the files of train and val."""
    for part in ('images', 'annfiles'):
        (out / 'trainval' / part).mkdir(parents=True)
        for split in ('train', 'val'):
            for file in sorted((out / split / part).iterdir()):
                link_or_copy(file, out / 'trainval' / part / file.name)


def main(arguments=None):
    prepare(parse_options(arguments))


if __name__ == '__main__':
    run(main)

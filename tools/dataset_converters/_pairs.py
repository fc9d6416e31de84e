"""Prepares pairs of two dates with change masks: {train,val,test}/{A,B,label}, masks 0 and 255."""
from collections import Counter
from typing import NamedTuple

import numpy as np
from _download import find
from _preparation import (
    UserError,
    argument_parser,
    check_size,
    expect,
    output_folder,
    parse_args,
    run_jobs,
    windows,
    write_png,
)


class PairSet(NamedTuple):
    """The published content of a set of pairs.

    Attributes:
        name (str): For messages.
        counts (dict[str, tuple[int]]): Split -> numbers of pairs that copies of the set
            have, the published one first.
        pattern (str): Of the files; its groups are split, part (A, B or ``label``) and
            the name without its ending.
        label (str): Folder of the masks in the download.
        size (int): Side of every image, in pixels.
        tile (int): Side of the tiles that images are cut into; with ``size``, the files of
            both dates are copied.
        threshold (int): Greater values of a mask mean change. With 0, a mask may have
            no values but 0 and 255.
    """
    name: str
    counts: dict
    pattern: str
    label: str
    size: int
    tile: int
    threshold: int = 0


SETS = dict(
    levir_cd=PairSet(
        name='LEVIR-CD',
        counts=dict(train=(445, ), val=(64, ), test=(128, )),
        pattern=r'/(train|val|test)/(A|B|label)/([^/]+)\.png$',
        label='label',
        size=1024,
        tile=256),
    cdd=PairSet(
        name='CDD',
        counts=dict(train=(10000, ), val=(3000, 2998), test=(3000, )),
        # the archive also has other sets with similar trees
        pattern=r'^(?:.*/subset)?/(train|val|test)/(A|B|OUT)/([^/]+)\.jpg$',
        label='OUT',
        size=256,
        tile=256,
        threshold=127))


def prepare(pairs, args):
    """Write the result; returns the number of pairs of each split.

    Raises:
        UserError: The download is incomplete, or an image is not as published.
    """
    parts = ('A', 'B', pairs.label)
    # the pattern ignores case; the folders are written as they are named here
    spelling = {part.lower(): part for part in parts}
    (entries, ) = find(args.folder, [pairs.pattern])
    entries = {(split.lower(), spelling[part.lower()], name): entry
               for (split, part, name), entry in entries.items()}
    check_counts(entries, parts, pairs, args.folder)
    jobs = sorted({(split, name) for split, _, name in entries})
    with output_folder(args.out) as out:
        for split in pairs.counts:
            for part in ('A', 'B', 'label'):
                (out / split / part).mkdir(parents=True)

        def convert(job):
            split, name = job
            return write_pair([entries[split, part, name] for part in parts], out / split,
                              name, pairs)

        numbers = run_jobs(convert, jobs, f'Writing the pairs of {pairs.name}', args.workers)
    written = Counter()
    for (split, _), number in zip(jobs, numbers):
        written[split] += number
    summary = ', '.join(f'{written[split]:,} {split}' for split in pairs.counts)
    print(f'{args.out}: {summary} pairs of {pairs.tile} x {pairs.tile} pixels')
    return dict(written)


def check_counts(entries, parts, pairs, folder):
    """Refuse a set that lacks files, or whose dates and masks do not match."""
    counts = Counter(f'{split}/{part}' for split, part, _ in entries)
    wanted = {}
    for split, accepted in pairs.counts.items():
        number = counts[f'{split}/A']
        for part in parts:
            wanted[f'{split}/{part}'] = number if number in accepted else accepted[0]
    expect(counts, wanted, f'{pairs.name} in {folder}')
    for split, _, name in entries:
        missing = [part for part in parts if (split, part, name) not in entries]
        if missing:
            raise UserError(f'{pairs.name} in {folder}: {split}/{name} is not in '
                            f'{", ".join(missing)}; the parts belong to different copies')


def write_pair(entries, target, name, pairs):
    """Write one pair, or its tiles.

    Args:
        entries (list[Entry]): Both dates and the mask.
        target (Path): Folder of the split.
        name (str): Name of the pair.
        pairs (PairSet): The set.

    Returns:
        int: Pairs written.
    """
    images, contents = zip(*(entry.decode() for entry in entries))
    for entry, image in zip(entries, images):
        check_size(entry, image.shape, (pairs.size, pairs.size))
    # a mask of three bands has three times the same
    grey = images[2] if images[2].ndim == 2 else images[2][..., 0]
    if pairs.threshold == 0 and grey.dtype != bool and not np.isin(grey, (0, 255)).all():
        raise UserError(f'{entries[2]} has values besides 0 and 255; is it the mask of change?')
    mask = np.where(grey > pairs.threshold, 255, 0).astype(np.uint8)
    if pairs.tile == pairs.size:
        for date, entry, content in zip('AB', entries, contents):
            ending = entry.place.rpartition('.')[2].lower()
            (target / date / f'{name}.{ending}').write_bytes(content)
        write_png(target / 'label' / f'{name}.png', mask)
        return 1
    tiles = windows(pairs.size, pairs.size, pairs.tile)
    for top, left, bottom, right in tiles:
        for part, image in zip(('A', 'B', 'label'), (*images[:2], mask)):
            write_png(target / part / f'{name}_{top:04d}_{left:04d}.png',
                      image[top:bottom, left:right])
    return len(tiles)


def main(doc, name, arguments=None):
    """The tool of a set; ``doc`` is its help."""
    prepare(SETS[name], parse_args(argument_parser(doc, name), arguments))

"""Brings pairs of two dates into one tree, for levir_cd.py and cdd.py."""
from collections import Counter
from typing import NamedTuple

import cv2
import numpy as np
from _download import find, list_download
from _preparation import UserError, expect, output_folder, run_jobs, windows

DATES = ('A', 'B')


class PairSet(NamedTuple):
    """What a set of pairs must hold.

    Attributes:
        name (str): For messages.
        counts (dict[str, tuple[int]]): Split -> numbers of pairs that copies of the set
            hold, the published one first.
        pattern (str): Of the files; its groups are split, part (A, B or ``label``) and
            the name without its ending.
        label (str): Folder of the masks in the download.
        size (int): Side of every picture, in pixels.
        tile (int): Side of the tiles that pictures are cut into; ``size`` copies them.
        threshold (int): What exceeds it in a mask has changed. With 0, a mask may hold
            nothing but 0 and 255.
    """
    name: str
    counts: dict
    pattern: str
    label: str
    size: int
    tile: int
    threshold: int = 0


def prepare(folder, out, pairs, workers=None):
    """Write {train,val,test}/{A,B,label}; masks are PNGs of 0 and 255.

    Args:
        folder (Path): The download.
        out (Path): The folder to make.
        pairs (PairSet): What the download must hold.
        workers (int, optional): Processes.

    Returns:
        dict[str, int]: Pairs written, by split.

    Raises:
        UserError: The download is incomplete, or a picture is not what it must be.
    """
    found = find(list_download(folder), pairs.pattern)
    parts = (*DATES, pairs.label)
    # the pattern ignores case, the folders of the result do not
    spelt = {part.lower(): part for part in parts}
    found = {(split.lower(), spelt[part.lower()], name): entry
             for (split, part, name), entry in found.items()}
    check_counts(found, parts, pairs, folder)
    jobs = sorted({(split, name) for split, _, name in found})
    with output_folder(out) as target:
        for split in pairs.counts:
            for part in (*DATES, 'label'):
                (target / split / part).mkdir(parents=True)

        def convert(job):
            split, name = job
            entries = [found[split, part, name] for part in parts]
            return split, write_pair(entries, target / split, name, pairs)

        results = run_jobs(convert, jobs, f'Writing the pairs of {pairs.name}', workers)
    written = Counter()
    for split, number in results:
        written[split] += number
    shown = ', '.join(f'{written[split]:,} {split}' for split in pairs.counts)
    print(f'{out}: {shown} pairs of {pairs.tile} x {pairs.tile} pixels')
    return dict(written)


def check_counts(found, parts, pairs, folder):
    """Refuse a set that lacks files, or whose dates and masks do not belong together."""
    counts = Counter(f'{split}/{part}' for split, part, _ in found)
    wanted = {}
    for split, accepted in pairs.counts.items():
        number = counts[f'{split}/{parts[0]}']
        for part in parts:
            wanted[f'{split}/{part}'] = number if number in accepted else accepted[0]
    expect(counts, wanted, f'{pairs.name} in {folder}')
    for split, _, name in found:
        missing = [part for part in parts if (split, part, name) not in found]
        if missing:
            raise UserError(f'{pairs.name} in {folder}: {split}/{name} is not in '
                            f'{", ".join(missing)}; the parts belong to different copies')


def write_pair(entries, target, name, pairs):
    """Write one pair, or its tiles.

    Args:
        entries (list[Entry]): Of both dates and of the mask.
        target (Path): Folder of the split.
        name (str): Of the pair.
        pairs (PairSet): How.

    Returns:
        int: Pairs written.
    """
    pictures = [entry.decode() for entry in entries]
    for entry, (pixels, _) in zip(entries, pictures):
        if pixels.shape[:2] != (pairs.size, pairs.size):
            raise UserError(f'{entry} has {pixels.shape[1]} x {pixels.shape[0]} pixels '
                            f'instead of {pairs.size} x {pairs.size}')
    mask = change_mask(pictures[2][0], entries[2], pairs.threshold)
    if pairs.tile == pairs.size:
        for date, entry, (_, data) in zip(DATES, entries, pictures):
            ending = entry.place.rpartition('.')[2].lower()
            (target / date / f'{name}.{ending}').write_bytes(data)
        write(target / 'label' / f'{name}.png', mask)
        return 1
    tiles = windows(pairs.size, pairs.size, pairs.tile)
    for top, left, bottom, right in tiles:
        tile = f'{name}_{top:04d}_{left:04d}.png'
        for date, (pixels, _) in zip(DATES, pictures):
            write(target / date / tile, cv2.cvtColor(
                pixels[top:bottom, left:right], cv2.COLOR_RGB2BGR))
        write(target / 'label' / tile, mask[top:bottom, left:right])
    return len(tiles)


def change_mask(pixels, entry, threshold):
    """uint8 (H, W) of 0 and 255.

    Args:
        pixels (np.ndarray): (H, W), or (H, W, bands) of equal bands.
        entry (Entry): For messages.
        threshold (int): See :class:`PairSet`.
    """
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    if threshold == 0 and grey.dtype != bool and not np.isin(grey, (0, 255)).all():
        raise UserError(f'{entry} holds values besides 0 and 255; is it the mask of change?')
    return np.where(grey > threshold, 255, 0).astype(np.uint8)


def write(path, pixels):
    """Save pixels in OpenCV's order as PNG."""
    if not cv2.imwrite(str(path), pixels):
        raise UserError(f'{path} cannot be written: is the disk full?')

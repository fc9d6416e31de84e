"""Divides your own data into train and val: split_dataset.py FOLDER_OR_COCO_JSON

What lies there decides what is written (into the folder, unless --out says otherwise):

  CLASS/IMAGE                    train.txt, val.txt: "CLASS/IMAGE NUMBER"; classes.txt
  images/NAME, masks/NAME        train.txt, val.txt: "NAME" without ending
  A/NAME, B/NAME, label/NAME     train.txt, val.txt: "NAME" without ending
  FILE.json (COCO)               train.json, val.json

Every class gets its share of val; in a COCO file, images with objects and images without.
The same data, seed and shares give the same lists on every machine.
"""
import argparse
import json
import os
from pathlib import Path, PurePosixPath

from _preparation import UserError, run
from _splitting import split

PAIRS = ('A', 'B', 'label')
MASKS = ('images', 'masks')


def parse_args(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='folder or COCO file, as above')
    parser.add_argument('--val-share', type=float, default=0.2,
                        help='share of the images to validate (default: 0.2)')
    parser.add_argument('--test-share', type=float, default=0.,
                        help='share of the images to test, as test.txt (default: none)')
    parser.add_argument(
        '--group', metavar='REGEX',
        help='keep images together whose path gives the same first bracket (or match), '
        'e.g. "(.*)_[0-9]+_[0-9]+" for SCENE_ROW_COLUMN.png. Tiles of one scene look '
        'alike: on both sides they make the score one of memory, not of new places')
    parser.add_argument('--seed', type=int, default=0, help='another one, another split')
    parser.add_argument('--out', type=Path,
                        help='folder for the lists (default: beside the data)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    if not args.data.exists():
        raise UserError(f'{args.data} does not exist; give a folder or a COCO file')
    out = args.out or (args.data.parent if args.data.is_file() else args.data)
    shares = dict(val=args.val_share)
    if args.test_share:
        shares['test'] = args.test_share
    options = dict(shares=shares, seed=args.seed, group=args.group)
    if args.data.is_file():
        texts = split_coco(args.data, options)
    elif all((args.data / name).is_dir() for name in PAIRS):
        texts = split_stems(args.data, PAIRS, options)
    elif all((args.data / name).is_dir() for name in MASKS):
        texts = split_stems(args.data, MASKS, options)
    else:
        texts = split_classes(args.data, options)
    write(out, texts)


def split_classes(folder, options):
    """Lists of class folders: path and number of the class."""
    files = images_in(folder)
    loose = next((file for file in files if '/' not in file), None)
    if loose:
        raise UserError(
            f'{folder / loose} lies in no class folder. What is known: class folders, '
            f'{"/, ".join(MASKS)}/, or {"/, ".join(PAIRS)}/ in one folder, or a COCO json')
    names = [file.split('/')[0] for file in files]
    classes = sorted(set(names), key=os.fsencode)
    if len(classes) == 1:
        raise UserError(f'{folder} has one folder of images only, {classes[0]}, so there is '
                        'nothing to tell apart; give the folder of the class folders')
    parts = split(files, names, **options)
    for part, positions in parts.items():
        absent = sorted(set(names) - {names[position] for position in positions})
        if absent:
            print(f'{part} has no image of {", ".join(absent)}')
    print(f'class folders: {len(files):,} images in {len(classes)} classes')
    texts = {
        f'{part}.txt': ''.join(f'{files[i]} {classes.index(names[i])}\n' for i in positions)
        for part, positions in parts.items()
    }
    return texts | {'classes.txt': ''.join(f'{name}\n' for name in classes)}


def split_stems(folder, names, options):
    """Lists of images that have partners of the same name in other folders."""
    found = {name: endings_by_stem(folder / name) for name in names}
    for name in names[1:]:
        alone = sorted(set(found[names[0]]) ^ set(found[name]))
        if alone:
            have, lack = (names[0], name) if alone[0] in found[names[0]] else (name, names[0])
            raise UserError(f'{folder / have} and {folder / lack} do not hold the same names: '
                            f'{len(alone)} lack a partner, e.g. {alone[0]} is missing in '
                            f'{lack}')
    stems = sorted(found[names[0]], key=os.fsencode)
    dotted = next((stem for stem in stems if '.' in PurePosixPath(stem).name), None)
    if dotted and names == PAIRS:
        raise UserError(f'the name {dotted} has a dot, from which on mmseg takes it for an '
                        'ending: rename the files')
    parts = split(stems, [None] * len(stems), **options)
    print(f'{", ".join(names)}: {len(stems):,} images')
    return {f'{part}.txt': ''.join(f'{stems[i]}\n' for i in positions)
            for part, positions in parts.items()}


def endings_by_stem(folder):
    """Ending of every image below a folder, by its path without ending.

    Raises:
        UserError: There are several endings: the lists do not hold them, a config has one.
    """
    endings = {}
    for file in images_in(folder):
        path = PurePosixPath(file)
        endings[str(path.with_suffix(''))] = path.suffix
    if len(set(endings.values())) > 1:
        raise UserError(f'{folder} has files that end in '
                        f'{" and in ".join(sorted(set(endings.values())))}: lists hold names '
                        'without ending and a config has one img_suffix; convert or move some')
    return endings


def split_coco(path, options):
    """COCO files of the parts: all of the given one but other images and annotations."""
    try:
        coco = json.loads(path.read_text(encoding='utf-8'))
        images, annotations = coco['images'], coco['annotations']
        files = [image['file_name'] for image in images]
        owners = [annotation['image_id'] for annotation in annotations]
        ids = [image['id'] for image in images]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path} is no COCO file ({type(error).__name__}: {error}); it needs '
                        'images, annotations and categories') from error
    lost = set(owners) - set(ids)
    if lost:
        raise UserError(f'{path}: {len(lost)} image_id of annotations belong to no image, '
                        f'e.g. {min(lost, key=str)}')
    with_objects = set(owners)
    parts = split(files, [number in with_objects for number in ids], **options)
    print(f'COCO: {len(files):,} images, {len(owners):,} objects')
    texts = {}
    for part, positions in parts.items():
        chosen = {ids[position] for position in positions}
        subset = coco | dict(
            images=[images[position] for position in positions],
            annotations=[annotation for annotation in annotations
                         if annotation['image_id'] in chosen])
        texts[f'{part}.json'] = json.dumps(subset)
    return texts


def images_in(folder):
    """Images below a folder, sorted, ``/`` between the parts."""
    from cmid_mm.datasets.folder_scan import scan_folder
    files = scan_folder(folder, remember=False)
    if not files:
        raise UserError(f'{folder} holds no image')
    return files


def write(out, texts):
    """Write all files or none; refuse to replace one."""
    taken = [out / name for name in texts if (out / name).exists()]
    if taken:
        raise UserError(f'{taken[0]} exists; remove it or give another folder with --out')
    out.mkdir(parents=True, exist_ok=True)
    partial = {out / f'.{name}.partial': out / name for name in texts}
    for (path, _), text in zip(partial.items(), texts.values()):
        path.write_text(text, encoding='utf-8', errors='surrogateescape')
    for path, name in partial.items():
        path.replace(name)
    for name, text in texts.items():
        lines = f', {text.count(chr(10)):,} lines' if name.endswith('.txt') else ''
        print(f'{out / name} written{lines}')


if __name__ == '__main__':
    run(main)

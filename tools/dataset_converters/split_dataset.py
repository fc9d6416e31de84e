"""Divides your own data into train and val: split_dataset.py FOLDER_OR_COCO_JSON

The content of the folder decides what is written (into the folder, or to --out):

  CLASS/IMAGE                    train.txt, val.txt: "CLASS/IMAGE NUMBER"; classes.txt
  images/NAME, masks/NAME        train.txt, val.txt: "NAME" without ending
  A/NAME, B/NAME, label/NAME     train.txt, val.txt: "NAME" without ending
  FILE.json (COCO)               train.json, val.json

Every class has its share in val; in a COCO file, so have images with and without objects.
The same data, seed and shares give the same lists on every machine.
"""
import json
import os
import re
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path, PurePosixPath

from _preparation import UserError, run, tool_parser

PAIRS = ('A', 'B', 'label')
MASKS = ('images', 'masks')


def parse_args(arguments=None):
    """Command line; ``arguments`` replace ``sys.argv[1:]``."""
    parser = tool_parser(__doc__)
    parser.add_argument('data', type=Path, help='folder or COCO file, as above')
    parser.add_argument('--val-share', type=float, default=0.2,
                        help='share of the images for validation (default: 0.2)')
    parser.add_argument('--test-share', type=float, default=0.,
                        help='share of the images for testing, as test.txt (default: none)')
    parser.add_argument(
        '--group', metavar='REGEX',
        help='keep images together whose path gives the same first group (or match), '
        'e.g. "(.*)_[0-9]+_[0-9]+" for SCENE_ROW_COLUMN.png. Tiles of one scene '
        'are similar: in both train and val, they make the score too optimistic')
    parser.add_argument('--seed', type=int, default=0, help='seed of the split (default: 0)')
    parser.add_argument('--out', type=Path,
                        help='folder for the lists (default: beside the data)')
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse_args(arguments)
    if not args.data.exists():
        raise UserError(f'{args.data} does not exist; give a folder or a COCO file')
    shares = dict(val=args.val_share)
    if args.test_share:
        shares['test'] = args.test_share
    options = dict(shares=shares, seed=args.seed, group=args.group)
    partners = next((names for names in (PAIRS, MASKS)
                     if all((args.data / name).is_dir() for name in names)), None)
    if args.data.is_file():
        texts = split_coco(args.data, options)
    elif partners:
        texts = split_stems(args.data, partners, options)
    else:
        texts = split_classes(args.data, options)
    write(args.out or (args.data.parent if args.data.is_file() else args.data), texts)


def split(files, strata, shares, seed=0, group=None):
    """Divide files into parts: seeded, stratified, groups kept together.

    Groups are ordered by a hash of seed and name and go to a part as long as that brings
    it closer to its share of the images; the others are for training.

    Args:
        files (list[str]): Paths, ``/`` between the parts.
        strata (list): Kind of each file, such as a class.
        shares (dict[str, float]): Share of each part but train of every kind, in the order of
            filling.
        seed (int): Seed of the split.
        group (str, optional): Regular expression whose first group or whole match is the name
            of the group of a path. Defaults to None: every file is its own group.

    Returns:
        dict[str, list[int]]: Ascending indices in ``files`` of 'train' and of each key of
        ``shares``.

    Raises:
        UserError: The expression is wrong or does not fit a file, the shares leave
            nothing to train, or a part stays empty.
    """
    if min(shares.values()) <= 0 or sum(shares.values()) >= 1:
        raise UserError('the shares of ' + ' and '.join(shares) + ' must be above 0 and leave '
                        'something to train')
    members = defaultdict(list)
    for index, file in enumerate(files):
        members[group_name(file, group) if group else file].append(index)
    units = defaultdict(list)
    for name, indices in members.items():
        # a group with images of several classes has the most frequent one
        stratum = Counter(strata[index] for index in indices).most_common(1)[0][0]
        units[stratum].append((sha256(f'{seed}/{name}'.encode()).digest(), indices))

    parts = {name: [] for name in ('train', *shares)}
    for ordered in units.values():
        ordered.sort()
        total = sum(len(indices) for _, indices in ordered)
        filled = Counter()
        for _, indices in ordered:
            part = next((name for name, share in shares.items()
                         if filled[name] + len(indices) / 2 <= share * total), 'train')
            filled[part] += len(indices)
            parts[part] += indices
    for name, indices in parts.items():
        if not indices:
            raise UserError(
                f'{name} stays empty: {len(members)} group(s) of {len(files)} files in '
                f'{len(units)} kind(s) are too few to share; choose other shares' +
                (' or a --group that makes smaller groups' if group else ''))
    return {name: sorted(indices) for name, indices in parts.items()}


def group_name(file, group):
    """Name of the group of a file; see :func:`split`."""
    try:
        match = re.search(group, file)
    except re.error as error:
        raise UserError(f'--group {group} is no regular expression: {error}') from error
    if match is None:
        raise UserError(f'--group {group} does not fit {file}; the expression must find the '
                        'name of the scene in every path')
    return (match[1] if match.re.groups else '') or match[0]


def split_classes(folder, options):
    """Lists of class folders: path and number of the class."""
    files = images_in(folder)
    loose = next((file for file in files if '/' not in file), None)
    if loose:
        raise UserError(
            f'{folder / loose} is in no class folder. Give a folder with class folders, with '
            f'{"/, ".join(MASKS)}/, or with {"/, ".join(PAIRS)}/, or a COCO json')
    names = [file.split('/')[0] for file in files]
    classes = sorted(set(names), key=os.fsencode)
    if len(classes) == 1:
        raise UserError(f'{folder} has only one folder of images, {classes[0]}, and '
                        'classification needs two; give the folder of the class folders')
    parts = split(files, names, **options)
    for part, indices in parts.items():
        absent = sorted(set(names) - {names[i] for i in indices})
        if absent:
            print(f'{part} has no image of {", ".join(absent)}')
    print(f'class folders: {len(files):,} images in {len(classes)} classes')
    return {f'{part}.txt': ''.join(f'{files[i]} {classes.index(names[i])}\n' for i in indices)
            for part, indices in parts.items()
            } | {'classes.txt': ''.join(f'{name}\n' for name in classes)}


def split_stems(folder, names, options):
    """Lists of images with files of the same name in other folders."""
    found = {name: stems_in(folder / name) for name in names}
    for name in names[1:]:
        alone = sorted(found[names[0]] ^ found[name])
        if alone:
            have, lack = (names[0], name) if alone[0] in found[names[0]] else (name, names[0])
            raise UserError(f'{folder / have} and {folder / lack} do not hold the same names: '
                            f'{len(alone)} lack a partner, e.g. {alone[0]} is missing in '
                            f'{lack}')
    stems = sorted(found[names[0]], key=os.fsencode)
    dotted = next((stem for stem in stems if '.' in PurePosixPath(stem).name), None)
    if dotted and names == PAIRS:
        raise UserError(f'the name {dotted} has a dot, where mmseg cuts off an ending; rename '
                        'the files')
    parts = split(stems, [None] * len(stems), **options)
    print(f'{", ".join(names)}: {len(stems):,} images')
    return {f'{part}.txt': ''.join(f'{stems[i]}\n' for i in indices)
            for part, indices in parts.items()}


def stems_in(folder):
    """Paths of the images below a folder, without ending.

    Raises:
        UserError: There are several endings: lists have none, and a config has one.
    """
    paths = [PurePosixPath(file) for file in images_in(folder)]
    endings = sorted({path.suffix for path in paths})
    if len(endings) > 1:
        raise UserError(f'{folder} has files that end in {" and in ".join(endings)}: lists hold '
                        'names without ending and a config has one img_suffix; convert or move '
                        'some')
    return {str(path.with_suffix('')) for path in paths}


def split_coco(path, options):
    """COCO files of the parts, with subsets of the images and annotations."""
    try:
        coco = json.loads(path.read_text(encoding='utf-8'))
        images, annotations = coco['images'], coco['annotations']
        files = [image['file_name'] for image in images]
        owners = [annotation['image_id'] for annotation in annotations]
        ids = [image['id'] for image in images]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path} is no COCO file ({type(error).__name__}: {error}); it needs '
                        'images, annotations and categories') from error
    with_objects = set(owners)
    lost = with_objects - set(ids)
    if lost:
        raise UserError(f'{path}: {len(lost)} image_id of annotations belong to no image, '
                        f'e.g. {min(lost, key=str)}')
    parts = split(files, [number in with_objects for number in ids], **options)
    print(f'COCO: {len(files):,} images, {len(owners):,} objects')
    texts = {}
    for part, indices in parts.items():
        chosen = {ids[i] for i in indices}
        texts[f'{part}.json'] = json.dumps(coco | dict(
            images=[images[i] for i in indices],
            annotations=[annotation for annotation in annotations
                         if annotation['image_id'] in chosen]))
    return texts


def images_in(folder):
    """Images below a folder, sorted, ``/`` between the parts."""
    from cmid_mm.datasets.folder_scan import scan_folder
    files = scan_folder(folder)
    if not files:
        raise UserError(f'{folder} holds no image')
    return files


def write(out, texts):
    """Write all files or none; refuse to replace one."""
    taken = [out / name for name in texts if (out / name).exists()]
    if taken:
        raise UserError(f'{taken[0]} exists; remove it or give another folder with --out')
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / f'.{name}.partial').write_text(text, encoding='utf-8', errors='surrogateescape')
    for name, text in texts.items():
        (out / f'.{name}.partial').replace(out / name)
        print(f'{out / name} written' + (f', {text.count(chr(10)):,} lines'
                                         if name.endswith('.txt') else ''))


if __name__ == '__main__':
    run(main)

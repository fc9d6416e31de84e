"""Checks the class folders of a scene classification set and writes lists of its splits."""
from hashlib import sha256
from typing import NamedTuple

from _preparation import (
    UserError,
    argument_parser,
    expect,
    output_folder,
    parse_args,
    run_jobs,
)

MAX_LEVELS = 3


class SceneSet(NamedTuple):
    """The published content of a set.

    Attributes:
        name (str): For messages.
        classes (dict[str, int]): Images of every class, by the name of its folder; the
            order numbers the classes.
        ending (str): Of every image, in lower case.
        sides (tuple[int, int]): Shortest and longest side that an image may have, pixels.
        shares (tuple[int, ...]): Shares of every class for training, in percent.
    """
    name: str
    classes: dict
    ending: str
    sides: tuple
    shares: tuple


SETS = dict(
    # images of each class: Xia et al., arXiv 1608.05167, table 1
    aid=SceneSet('AID', dict(
        Airport=360, BareLand=310, BaseballField=220, Beach=400, Bridge=360, Center=260,
        Church=240, Commercial=350, DenseResidential=410, Desert=300, Farmland=370,
        Forest=250, Industrial=390, Meadow=280, MediumResidential=290, Mountain=340,
        Park=350, Parking=390, Playground=370, Pond=420, Port=380, RailwayStation=260,
        Resort=290, River=410, School=300, SparseResidential=300, Square=330, Stadium=290,
        StorageTanks=360, Viaduct=420), '.jpg', (600, 600), (20, 50)),
    nwpu=SceneSet('NWPU-RESISC45', dict.fromkeys(
        'airplane airport baseball_diamond basketball_court beach bridge chaparral church '
        'circular_farmland cloud commercial_area dense_residential desert forest freeway '
        'golf_course ground_track_field harbor industrial_area intersection island lake '
        'meadow medium_residential mobile_home_park mountain overpass palace parking_lot '
        'railway railway_station rectangular_farmland river roundabout runway sea_ice ship '
        'snowberg sparse_residential stadium storage_tank tennis_court terrace '
        'thermal_power_station wetland'.split(), 700), '.jpg', (256, 256), (10, 20)),
    # a few images are some pixels short of 256
    ucm=SceneSet('UC Merced', dict.fromkeys(
        'agricultural airplane baseballdiamond beach buildings chaparral denseresidential '
        'forest freeway golfcourse harbor intersection mediumresidential mobilehomepark '
        'overpass parkinglot river runway sparseresidential storagetanks tenniscourt'.split(),
        100), '.tif', (240, 260), (80, )))


def prepare(scene_set, args):
    """Check a download and write the lists that the recipes name.

    The images stay where they are: ``images`` is a link to the class folders.
    ``classes.txt`` names the classes, ``splits/train_20.txt`` and ``test_20.txt`` list
    "CLASS/FILE NUMBER" for a share of 20 percent, and so on.

    Args:
        scene_set (SceneSet): The published content.
        args (argparse.Namespace): ``folder`` of the download, at most three levels above
            the class folders; ``out``; ``workers``.

    Raises:
        UserError: The download is not complete, or ``out`` is not empty.
    """
    images = class_root(scene_set, args.folder)
    files = images_by_class(scene_set, images)
    expect({name: len(found) for name, found in files.items()}, scene_set.classes,
           f'{scene_set.name} in {images}')
    with output_folder(args.out) as out:
        paths = [images / file for found in files.values() for file in found]
        check_images(scene_set, paths, args.workers)
        (out / 'images').symlink_to(images.resolve(), target_is_directory=True)
        (out / 'classes.txt').write_text(''.join(f'{name}\n' for name in files))
        (out / 'splits').mkdir()
        for share in scene_set.shares:
            for part, lines in split_lists(files, share).items():
                (out / 'splits' / f'{part}_{share}.txt').write_text(''.join(lines))
    print(f'{len(paths):,} images in {len(files)} classes; lists written to {args.out}/splits')


def class_root(scene_set, folder):
    """The folder, at or below ``folder``, that has most of the set's class folders."""
    def classes_in(path):
        return sum((path / name).is_dir() for name in scene_set.classes)

    level, candidates = [folder], []
    for _ in range(MAX_LEVELS + 1):
        candidates += level
        level = sorted(child for path in level for child in path.iterdir()
                       if child.is_dir() and child.name not in scene_set.classes)
    best = max(candidates, key=classes_in)
    if not classes_in(best):
        raise UserError(f'{folder} has no class folder of {scene_set.name} '
                        f'({", ".join(list(scene_set.classes)[:3])}, ...); give the folder '
                        'of the unpacked download')
    return best


def images_by_class(scene_set, images):
    """Images of every class folder, "CLASS/FILE", sorted by name.

    Returns:
        dict[str, list[str]]: First the set's classes in its order, then unknown folders.
    """
    unknown = sorted(path.name for path in images.iterdir()
                     if path.is_dir() and path.name not in scene_set.classes)
    return {
        name: sorted(f'{name}/{path.name}' for path in (images / name).glob('*')
                     if path.suffix.lower() == scene_set.ending
                     and not path.name.startswith('.'))
        for name in (*scene_set.classes, *unknown)
    }


def check_images(scene_set, paths, workers):
    """Decode every image; raise UserError for one that is damaged or has a wrong size."""
    from cmid_mm.datasets.image_reading import read_image

    low, high = scene_set.sides
    sizes = run_jobs(lambda path: read_image(str(path)).pixels.shape[:2], paths,
                     f'Reading the images of {scene_set.name}', workers)
    wrong = [(path, size) for path, size in zip(paths, sizes)
             if not low <= min(size) <= max(size) <= high]
    if wrong:
        path, (height, width) = wrong[0]
        raise UserError(
            f'{len(wrong):,} images of {scene_set.name} do not have {low} to {high} pixels a '
            f'side, e.g. {path} ({width} x {height}); download it again')


def split_lists(files, share):
    """Lists of a stratified split, the same on every machine.

    The images of a class are ordered by a hash of their names and the first ones are for
    training, so that a larger share contains a smaller one.

    Args:
        files (dict[str, list[str]]): "CLASS/FILE" of every class.
        share (int): Share of every class for training, in percent.

    Returns:
        dict[str, list[str]]: Lines of the 'train' and the 'test' list.
    """
    lines = dict(train=[], test=[])
    for number, found in enumerate(files.values()):
        ordered = sorted(found, key=lambda file: sha256(file.encode()).digest())
        train = set(ordered[:round(len(ordered) * share / 100)])
        for file in found:
            lines['train' if file in train else 'test'].append(f'{file} {number}\n')
    return lines


def main(doc, name, arguments=None):
    """The tool of a set; ``doc`` is its help."""
    prepare(SETS[name], parse_args(argument_parser(doc, name), arguments))

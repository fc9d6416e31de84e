"""Turns DIOR's XML files into COCO files.

    python tools/dataset_converters/dior.py DOWNLOAD --out data/dior

DOWNLOAD holds the 23,463 images (*.jpg, 800 x 800, as JPEGImages-trainval and
JPEGImages-test or together), one XML file an image in a folder "Annotations" or "Horizontal
Bounding Boxes", and the lists train.txt, val.txt and test.txt. The result has images/ (hard
links where the file system can, else copies) and annotations/{train,val,trainval,test}.json.
Coordinates are taken as they stand and cut at the image's borders.
"""
import xml.etree.ElementTree as ElementTree

# isort: off
from _preparation import UserError, expect, output_folder, parse_args, run_jobs
from _boxes import bounding_box, link_or_copy, write_coco
from _errors import run
# isort: on

CLASSES = (
    'airplane', 'airport', 'baseballfield', 'basketballcourt', 'bridge', 'chimney',
    'Expressway-Service-area', 'Expressway-toll-station', 'dam', 'golffield',
    'groundtrackfield', 'harbor', 'overpass', 'ship', 'stadium', 'storagetank',
    'tenniscourt', 'trainstation', 'vehicle', 'windmill')
#: Images of each list; every image is 800 pixels high and wide.
IMAGES = dict(train=5862, val=5863, test=11738)
SIZE = 800
XML_FOLDERS = ('Horizontal Bounding Boxes', 'Annotations')
_LABELS = {name.lower(): label for label, name in enumerate(CLASSES)}


def find_lists(folder, wanted):
    """Names of the images of each list.

    Args:
        folder (Path): The download.
        wanted (dict[str, int]): Number of images of each list.

    Returns:
        dict[str, list[str]]: Names without ending.

    Raises:
        UserError: A list is missing or has another length, or lists share an image.
    """
    lists = {}
    for split in wanted:
        files = sorted(folder.rglob(f'{split}.txt'))
        if len(files) > 1:
            raise UserError(f'{folder} has {split}.txt twice: {files[0]} and {files[1]}; '
                            'remove one')
        lists[split] = files[0].read_text().split() if files else []
    expect({f'{split}.txt': len(names) for split, names in lists.items()},
           {f'{split}.txt': count for split, count in wanted.items()},
           f'the lists of DIOR in {folder}')
    names = [name for some in lists.values() for name in some]
    if len(set(names)) < len(names):
        raise UserError(f'the lists of DIOR in {folder} name an image twice')
    return lists


def find_files(folder, names):
    """Image and XML file of every name.

    Args:
        folder (Path): The download.
        names (list[str]): Names without ending.

    Returns:
        dict[str, tuple[Path, Path]]: Image and XML file by name.

    Raises:
        UserError: Files are missing.
    """
    images = {file.stem: file for file in folder.rglob('*.jpg')}
    labels = {}
    for place in XML_FOLDERS:
        if not labels:
            labels = {file.stem: file for file in folder.rglob(f'{place}/*.xml')}
    must = set(names)
    expect(dict(images=len(must & set(images)), labels=len(must & set(labels))),
           dict(images=len(must), labels=len(must)), f'DIOR in {folder}')
    return {name: (images[name], labels[name]) for name in names}


def read_xml(path):
    """Boxes of an XML file.

    Args:
        path (Path): A file in the form of PASCAL VOC.

    Returns:
        list[dict]: ``label`` and ``bbox`` (x, y, width, height), in the file's order;
        boxes without area are left out.

    Raises:
        UserError: The file is damaged, or has an unknown class or another size.
    """
    try:
        root = ElementTree.parse(path).getroot()
        size = [int(root.find(f'size/{side}').text) for side in ('height', 'width')]
        items = [(item.find('name').text.strip(),
                  [float(item.find(f'bndbox/{key}').text)
                   for key in ('xmin', 'ymin', 'xmax', 'ymax')])
                 for item in root.iter('object')]
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f'{path} is damaged or no file of DIOR with horizontal boxes; '
                        'download or unpack it again') from error
    if size != [SIZE, SIZE]:
        raise UserError(f'{path} tells of {size[1]} x {size[0]} pixels, but the images of '
                        f'DIOR have {SIZE} x {SIZE}')
    objects = []
    for name, (left, top, right, bottom) in items:
        if name.lower() not in _LABELS:
            raise UserError(f'{path} has the class {name!r}, which DIOR has not')
        bbox = bounding_box([(left, top), (right, bottom)], SIZE, SIZE)
        if bbox[2] > 0 and bbox[3] > 0:
            objects.append(dict(label=_LABELS[name.lower()], bbox=bbox))
    return objects


def read_pair(pair):
    """What the COCO file needs of one image, after a look at its pixels.

    Args:
        pair (tuple[Path, Path]): Image and XML file.

    Raises:
        ImageError: The image is damaged.
        UserError: The image has another size, or its XML file is refused.
    """
    from cmid_mm.datasets.image_reading import read_image
    image, label = pair
    height, width = read_image(str(image)).pixels.shape[:2]
    if (height, width) != (SIZE, SIZE):
        raise UserError(f'{image} has {width} x {height} pixels instead of {SIZE} x {SIZE}; '
                        'download or unpack it again')
    return dict(file_name=image.name, height=height, width=width, objects=read_xml(label))


def prepare(args, wanted=IMAGES):
    """Make the folder; ``wanted`` is what the download must hold."""
    lists = find_lists(args.folder, wanted)
    names = [name for some in lists.values() for name in some]
    pairs = find_files(args.folder, names)
    with output_folder(args.out) as out:
        entries = dict(zip(names, run_jobs(
            read_pair, pairs.values(), 'reading images and boxes', args.workers)))
        (out / 'images').mkdir()
        for image, _ in pairs.values():
            link_or_copy(image.resolve(), out / 'images' / image.name)
        lists['trainval'] = lists['train'] + lists['val']
        for split, some in lists.items():
            images = [entries[name] for name in some]
            write_coco(out / 'annotations' / f'{split}.json', images, CLASSES)
            print(f'{split}: {len(images):,} images, '
                  f'{sum(len(image["objects"]) for image in images):,} boxes')
    print(f'written to {args.out}')


def main():
    prepare(parse_args(__doc__, 'data/dior'))


if __name__ == '__main__':
    run(main)

"""Converts DIOR's XML files to COCO files: dior.py DOWNLOAD_FOLDER [--out data/dior]

The download folder holds the 23,463 images (*.jpg, 800 x 800, as JPEGImages-trainval and
JPEGImages-test or together), one XML file an image in a folder "Annotations" or "Horizontal
Bounding Boxes", and the lists train.txt, val.txt and test.txt. The result has images/ (hard
links where the file system has them, else copies) and
annotations/{train,val,trainval,test}.json. Coordinates are not changed, except that
boxes are clipped to the image.
"""
import xml.etree.ElementTree as ElementTree

from _boxes import bounding_box, link_or_copy, write_coco
from _preparation import (
    UserError,
    argument_parser,
    check_size,
    expect,
    output_folder,
    parse_args,
    run,
    run_jobs,
)

CLASSES = (
    'airplane', 'airport', 'baseballfield', 'basketballcourt', 'bridge', 'chimney',
    'Expressway-Service-area', 'Expressway-toll-station', 'dam', 'golffield',
    'groundtrackfield', 'harbor', 'overpass', 'ship', 'stadium', 'storagetank',
    'tenniscourt', 'trainstation', 'vehicle', 'windmill')
LABELS = {name.lower(): label for label, name in enumerate(CLASSES)}
# images of each list; every image is 800 pixels high and wide
IMAGES = dict(train=5862, val=5863, test=11738)
SIZE = 800
XML_FOLDERS = ('Horizontal Bounding Boxes', 'Annotations')


def find_lists(folder, wanted):
    """Names without ending of the images of each list, ``wanted`` of them.

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
    names = sum(lists.values(), [])
    if len(set(names)) < len(names):
        raise UserError(f'the lists of DIOR in {folder} name an image twice')
    return lists


def find_files(folder, names):
    """Image and XML file of every name; raises UserError where files are missing."""
    images = {file.stem: file for file in folder.rglob('*.jpg')}
    labels = next(filter(None, ({file.stem: file for file in folder.rglob(f'{place}/*.xml')}
                                for place in XML_FOLDERS)), {})
    expect(dict(images=len(images.keys() & names), labels=len(labels.keys() & names)),
           dict(images=len(names), labels=len(names)), f'DIOR in {folder}')
    return [(images[name], labels[name]) for name in names]


def read_xml(path):
    """Boxes of an XML file in the form of PASCAL VOC.

    Returns:
        list[dict]: ``label`` and ``bbox`` (x, y, width, height), in the file's order,
        without boxes that have no area.

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
    check_size(path, size, (SIZE, SIZE))
    objects = []
    for name, (left, top, right, bottom) in items:
        if name.lower() not in LABELS:
            raise UserError(f'{path} has the class {name!r}, which DIOR does not have')
        bbox = bounding_box([(left, top), (right, bottom)], SIZE, SIZE)
        if bbox[2] > 0 and bbox[3] > 0:
            objects.append(dict(label=LABELS[name.lower()], bbox=bbox))
    return objects


def read_pair(pair):
    """Read and check an image and its XML file; an entry of :func:`write_coco`."""
    from cmid_mm.datasets.image_reading import read_image
    image, label = pair
    check_size(image, read_image(str(image)).pixels.shape, (SIZE, SIZE))
    return dict(file_name=image.name, height=SIZE, width=SIZE, objects=read_xml(label))


def prepare(args, wanted=IMAGES):
    """Check the download, of ``wanted`` images a list, and write the result."""
    lists = find_lists(args.folder, wanted)
    names = sum(lists.values(), [])
    pairs = find_files(args.folder, names)
    with output_folder(args.out) as out:
        entries = dict(zip(names, run_jobs(read_pair, pairs, 'Reading images and boxes',
                                           args.workers)))
        (out / 'images').mkdir()
        for image, _ in pairs:
            link_or_copy(image.resolve(), out / 'images' / image.name)
        lists['trainval'] = lists['train'] + lists['val']
        for split, some in lists.items():
            write_coco(out, split, [entries[name] for name in some], CLASSES)
    print(f'written to {args.out}')


def main(arguments=None):
    prepare(parse_args(argument_parser(__doc__, 'dior'), arguments))


if __name__ == '__main__':
    run(main)

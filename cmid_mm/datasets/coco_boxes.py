"""mmdet's COCO data set with a check of its annotation file."""
import json
import logging
import math
import os
from collections import Counter

import numpy as np
from mmengine.logging import print_log
from mmpretrain.registry import DATASETS

from cmid_mm.utils.errors import CMIDError

from .folder_scan import on_first_process
from .image_reading import read_header
from .list_file import leaves_root
from .parallel_reading import FolderItems, read_in_parallel

_NEEDED = dict(
    images=('id', 'file_name', 'height', 'width'),
    annotations=('id', 'image_id', 'category_id', 'bbox', 'area'),
    categories=('id', 'name'))
_IDS = ('id', 'image_id', 'category_id')


@DATASETS.register_module()
def CheckedCocoDataset(ann_file: str, metainfo: dict | None = None, data_root: str = '',
                       data_prefix: dict = dict(img=''), oriented: bool = False,
                       allow_outside: bool = False, **kwargs):
    """Build mmdet's ``CocoDataset`` after a check for errors that would show late or never.

    Category ids are free. mmdet numbers the classes in the order of the file, so the
    order in ``metainfo`` must be the same. mmdet leaves out boxes smaller than a pixel and
    boxes outside of their image, and ignores those with ``iscrowd`` or ``ignore``; the log
    gives their number. The size of an image must be that of its entry: boxes of a photograph
    that its orientation tag turns would be elsewhere.

    Args:
        ann_file (str): COCO JSON file, relative to ``data_root`` or absolute.
        metainfo (dict): ``classes``, the names to detect.
        data_root (str): Folder of the set. Defaults to ''.
        data_prefix (dict): ``img``, folder of the images, relative to ``data_root``.
        oriented (bool): Whether the oriented quadrilaterals in ``segmentation`` are the
            boxes, so that every annotation must have one. Defaults to False.
        allow_outside (bool): Whether a ``file_name`` may be absolute or have ``..`` in
            it. Defaults to False.
        **kwargs: Further arguments of ``CocoDataset``.

    Raises:
        CMIDError: The file is absent or not a COCO file, has no images or no usable boxes,
            or names images that do not exist, are outside the folder or have another size; its
            categories are not the classes; a number has another type; or an annotation has no
            image or category or, where ``oriented``, no quadrilateral with an area.
    """
    path = os.path.join(data_root, ann_file)
    content = _read(path)
    classes = (metainfo or {}).get('classes') or ()
    classes = (classes, ) if isinstance(classes, str) else tuple(classes)
    _check_classes(path, classes, [entry['name'] for entry in content['categories']])
    folder = os.path.join(data_root, data_prefix['img'])
    _check_numbers(path, content)
    _check_files(path, content['images'], folder, allow_outside)
    _check_annotations(path, content, classes, oriented)
    on_first_process(_check_sizes, path, content['images'], folder)
    return DATASETS.build(dict(
        type='mmdet.CocoDataset', ann_file=ann_file, metainfo=metainfo,
        data_root=data_root, data_prefix=data_prefix, **kwargs))


def _read(path):
    """Read a COCO file and check that every required part and key is present."""
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except FileNotFoundError as error:
        raise CMIDError(f'{path} does not exist: set data_root and ann_file of the data '
                        'set to the location of your COCO JSON file') from error
    except ValueError as error:
        raise CMIDError(f'{path} is no valid JSON file ({error}): is it cut off?') from error
    for part, keys in _NEEDED.items():
        if not isinstance(content, dict) or not isinstance(content.get(part), list):
            raise CMIDError(f'{path} is no COCO file: it has no list "{part}"')
        for entry in content[part]:
            absent = [key for key in keys if key not in entry]
            if absent:
                raise CMIDError(f'{path}: an entry of "{part}" has no {absent[0]}: '
                                f'{json.dumps(entry)[:200]}')
        for entry in content[part]:
            wrong = [key for key in keys if key in _IDS and not isinstance(entry[key], (int, str))]
            if wrong:
                raise CMIDError(f'{path}: an entry of "{part}" has {wrong[0]}='
                                f'{json.dumps(entry[wrong[0]])[:200]} and no number')
        ids = Counter(entry['id'] for entry in content[part])
        repeated = [number for number, count in ids.items() if count > 1]
        if repeated:
            raise CMIDError(f'{path}: "{part}" has the id {repeated[0]} more than once: every '
                            'id must be unique')
    if not content['images']:
        raise CMIDError(f'{path} lists no images')
    return content


def _check_numbers(path, content):
    for image in content['images']:
        for key in ('width', 'height'):
            if not _is_number(image[key]) or image[key] < 1:
                raise CMIDError(f'{path}: image {image["id"]} has {key}='
                                f'{json.dumps(image[key])[:200]} and no number of pixels')
    for annotation in content['annotations']:
        where = f'{path}: annotation {annotation["id"]} has'
        bbox = annotation['bbox']
        if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
            raise CMIDError(f'{where} bbox={json.dumps(bbox)[:200]} and not the four numbers x, '
                            'y, width, height')
        if not _is_number(annotation['area']):
            raise CMIDError(f'{where} area={json.dumps(annotation["area"])[:200]} and no number: '
                            'set it to width times height of the box')


def _is_number(value):
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value))


def _check_sizes(path, images, folder):
    """Compare the size of every image with its entry."""
    turned = 0
    headers = read_in_parallel(_Headers(folder, [image['file_name'] for image in images]))
    for image, header in zip(images, headers):
        file = os.path.join(folder, image['file_name'])
        if isinstance(header, str):
            raise CMIDError(f'{file} {header}')
        listed = image['height'], image['width']
        if header[:2] != listed:
            quarter = header.orientation > 4 and header[1::-1] == listed
            raise CMIDError(
                f'{file} has {header.width} x {header.height} pixels, but {path} lists '
                f'{image["width"]} x {image["height"]}' + (
                    ': its orientation tag turns it, which is not applied here; save the turned '
                    'pixels, for example with mogrify -auto-orient' if quarter else
                    ': are its boxes those of another version of the image?'))
        turned += header.orientation != 1
    if turned:
        print_log(f'{path}: {turned:,} images have an orientation tag, which is not applied: '
                  'their boxes must be those of the pixels as stored', 'current', logging.WARNING)


class _Headers(FolderItems):

    def read_item(self, index, path):
        return read_header(path)


def _check_classes(path, classes, names):
    if set(classes) - set(names) or not classes:
        raise CMIDError(f'the classes {classes} are not all among the categories of {path}, '
                        f'which has {tuple(names)}: set metainfo=dict(classes=...)')
    ordered = tuple(name for name in names if name in classes)
    if ordered != classes:
        raise CMIDError(f'the classes must be in the order of {path}, by which they '
                        f'are numbered: set metainfo=dict(classes={ordered})')


def _check_files(path, images, folder, allow_outside):
    """Check the name of every image, and that it exists, with one listing per folder."""
    listed, absent = {}, []
    for name in (image['file_name'] for image in images):
        if not allow_outside and (not isinstance(name, str) or leaves_root(name)):
            raise CMIDError(f'{path}: the file_name {json.dumps(name)[:200]} is no path '
                            'inside the image folder: write paths relative to it, or '
                            'set allow_outside=True if you trust the file')
        place, name = os.path.split(os.path.join(folder, name))
        if place not in listed:
            listed[place] = set(os.listdir(place)) if os.path.isdir(place) else set()
        if name not in listed[place]:
            absent.append(os.path.join(place, name))
    if absent:
        raise CMIDError(f'{path} lists {len(images):,} images, of which {len(absent):,} '
                        f'do not exist, such as {absent[0]}: check data_root and '
                        'data_prefix')


def _check_annotations(path, content, classes, oriented):
    images = {image['id']: image for image in content['images']}
    names = {category['id']: category['name'] for category in content['categories']}
    ignored, left_out, other, used = 0, 0, 0, Counter()
    for annotation in content['annotations']:
        where = f'{path}: annotation {annotation["id"]}'
        image = images.get(annotation['image_id'])
        if image is None or annotation['category_id'] not in names:
            key = 'category_id' if image else 'image_id'
            raise CMIDError(f'{where} has {key}={annotation[key]}, which the file does '
                            'not list')
        if names[annotation['category_id']] not in classes:
            other += 1
        elif annotation.get('ignore') or annotation.get('iscrowd'):
            ignored += 1
        elif not _usable(annotation, image):
            left_out += 1
        elif oriented and not _has_area(annotation.get('segmentation')):
            raise CMIDError(f'{where} ({image["file_name"]}) has no quadrilateral with an '
                            'area in its segmentation: repair or remove it')
        else:
            used[annotation['image_id']] += 1
    if not used:
        raise CMIDError(f'{path} holds no usable box of the classes {classes} '
                        f'({len(content["annotations"]):,} annotations, {left_out:,} '
                        f'without area or outside of their image, {ignored:,} with iscrowd or '
                        'ignore, which are no objects to learn: set these to 0 where each '
                        'annotation is one object)')
    print_log(f'{path}: {len(images):,} images, {len(images) - len(used):,} of them without '
              f'boxes; {used.total():,} boxes; {left_out:,} left out (below one pixel or outside); '
              f'{ignored:,} ignored (iscrowd or ignore); {other:,} of other categories', 'current')


def _usable(annotation, image):
    """Whether mmdet's data set uses a box: at least a pixel, and partly in its image."""
    x, y, width, height = annotation['bbox']
    return (width >= 1 and height >= 1 and annotation['area'] > 0
            and min(x + width, image['width']) > max(x, 0)
            and min(y + height, image['height']) > max(y, 0))


def _has_area(polygons):
    """Whether a COCO segmentation is one polygon of three corners or more with an area."""
    if not isinstance(polygons, list) or len(polygons) != 1:
        return False
    corners = np.asarray(polygons[0], np.float64)
    if corners.size < 6 or corners.size % 2:
        return False
    x, y = corners.reshape(-1, 2).T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) > 1e-6

"""Boxes, COCO files and links to images, for dota.py and dior.py."""
import json
import os
import shutil

import numpy as np


def bounding_box(points, height, width):
    """Smallest horizontal box around points, cut at the borders of its image.

    Args:
        points (array-like): (n, 2) x, y.
        height (int): Of the image, in pixels.
        width (int): Of the image, in pixels.

    Returns:
        list[float]: x, y, width, height.
    """
    left, top = np.maximum(np.min(points, 0), 0)
    right, bottom = np.minimum(np.max(points, 0), (width, height))
    return [float(left), float(top), float(right - left), float(bottom - top)]


def area(polygon):
    """Area of a polygon (n, 2) by the shoelace formula."""
    x, y = np.asarray(polygon, np.float64).reshape(-1, 2).T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def share_inside(quad, left, top, right, bottom):
    """Share of a quadrilateral's area that is inside a window, from 0 to 1.

    The quadrilateral is cut at one side of the window after the other (Sutherland and
    Hodgman 1974). The share of one without area is 0.

    Args:
        quad (np.ndarray): (4, 2) corners.
        left, top, right, bottom (float): The window, same units.
    """
    if (quad.max(0) <= (left, top)).any() or (quad.min(0) >= (right, bottom)).any():
        return 0.0
    corners = list(quad.astype(np.float64))
    for axis, border, sign in ((0, left, 1), (1, top, 1), (0, right, -1), (1, bottom, -1)):
        kept = []
        for i, here in enumerate(corners):
            before = corners[i - 1]
            depth, depth_before = (sign * (point[axis] - border) for point in (here, before))
            if (depth < 0) != (depth_before < 0):
                kept.append(before + (here - before) * depth_before / (depth_before - depth))
            if depth >= 0:
                kept.append(here)
        corners = kept
    whole = area(quad)
    return area(corners) / whole if corners and whole else 0.0


def write_coco(out, split, images, classes):
    """Write annotations/SPLIT.json and print the numbers of images and boxes.

    Args:
        out (Path): Folder of the result.
        split (str): Name of the part.
        images (list[dict]): ``file_name``, ``height``, ``width`` and ``objects``, a list
            of dicts with ``label`` (index in ``classes``), ``bbox`` (x, y, width, height)
            and, where known, ``quad`` (8 numbers) and ``difficult`` (int).
        classes (Sequence[str]): Names; category ids count from 1 in their order.
    """
    annotations = []
    for image_id, image in enumerate(images, 1):
        for item in image['objects']:
            x, y, width, height = (round(number, 2) for number in item['bbox'])
            quad = [round(number, 2) for number in item.get('quad', ())]
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image_id, category_id=item['label'] + 1,
                bbox=[x, y, width, height], area=round(width * height, 2), iscrowd=0,
                segmentation=[quad] if quad else [],
                **{key: item[key] for key in ('difficult', ) if key in item}))
    (out / 'annotations').mkdir(exist_ok=True)
    (out / 'annotations' / f'{split}.json').write_text(json.dumps(dict(
        images=[dict(id=image_id, file_name=image['file_name'], height=image['height'],
                     width=image['width']) for image_id, image in enumerate(images, 1)],
        annotations=annotations,
        categories=[dict(id=i, name=name) for i, name in enumerate(classes, 1)])))
    print(f'{split}: {len(images):,} images, {len(annotations):,} boxes')


def link_or_copy(source, target):
    """Make a hard link to a file; a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)

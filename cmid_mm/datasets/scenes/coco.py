"""Boxes of scenes as a COCO file."""
from .materials import OBJECT_CLASSES


def coco_file(images):
    """Content of a COCO file.

    Args:
        images (list[dict]): For each image ``file_name``, ``height``, ``width``, and lists
            ``boxes`` (x0, y0, x1, y1), ``labels``, ``quads`` (8 numbers).

    Returns:
        dict: Categories count from 1 in the order of ``OBJECT_CLASSES``; ``bbox`` is x, y,
        width, height; ``segmentation`` is the oriented quadrilateral.
    """
    annotations = []
    for image_id, image in enumerate(images):
        for (x0, y0, x1, y1), label, quad in zip(
                image['boxes'], image['labels'], image['quads'], strict=True):
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image_id, category_id=label + 1,
                bbox=[x0, y0, x1 - x0, y1 - y0], area=(x1 - x0) * (y1 - y0), iscrowd=0,
                segmentation=[[round(number, 2) for number in quad]]))
    return dict(
        images=[dict(id=i, file_name=image['file_name'], height=image['height'],
                     width=image['width']) for i, image in enumerate(images)],
        annotations=annotations,
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(OBJECT_CLASSES)])

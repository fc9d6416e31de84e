"""Which files belong together, and the errors where they do not."""
import pytest
from mmpretrain.registry import DATASETS

from cmid_mm.utils.errors import CMIDError, MissingFileError

METAINFO = dict(classes=('field', 'wood'), palette=[(0, 0, 0), (9, 9, 9)])
SEGMENTATION = dict(img_path='images', seg_map_path='masks')
PAIRS = dict(img_path='A', img_path2='B', seg_map_path='label')


def build(root, prefix=SEGMENTATION, **kwargs):
    kwargs.setdefault('metainfo', METAINFO)
    return DATASETS.build(
        dict(type='MaskFolder', data_root=str(root), data_prefix=prefix, **kwargs))


def paths(dataset, root, key='img_path'):
    return [dataset.get_data_info(i)[key].removeprefix(f'{root}/')
            for i in range(len(dataset))]


def test_names_agree_up_to_the_ending(tree):
    root = tree(['images/b.JPG', 'images/t/a.5_m.tif', 'images/.hidden.png', 'images/b.jgw',
                 'masks/b.png', 'masks/t/a.5_m.tif', 'masks/more.png'])
    dataset = build(root)
    assert paths(dataset, root) == ['images/b.JPG', 'images/t/a.5_m.tif']
    assert paths(dataset, root, 'seg_map_path') == ['masks/b.png', 'masks/t/a.5_m.tif']
    info = dataset.get_data_info(0)
    assert info['num_classes'] == 2 and info['reduce_zero_label'] is False
    assert info['seg_fields'] == [] and 'img_path2' not in info
    assert dataset.metainfo['classes'] == ('field', 'wood')
    assert build(root, reduce_zero_label=True).get_data_info(1)['reduce_zero_label'] is True


def test_two_dates(tree):
    root = tree([f'{part}/{i}.png' for part in ('A', 'B', 'label') for i in (1, 2)])
    assert paths(build(root, PAIRS), root, 'img_path2') == ['B/1.png', 'B/2.png']
    (root / 'B/2.png').unlink()
    with pytest.raises(MissingFileError, match=r'/B lacks 1 of 2 files: 2 \(img_path2'):
        build(root, PAIRS)


def test_a_list_decides_which_images_in_which_order(tree):
    root = tree([f'{part}/{name}.png' for part in ('images', 'masks')
                 for name in ('a', 'b', 'c.d')])
    (root / 'train.txt').write_text('c.d\n\na.png\n')
    assert paths(build(root, ann_file='train.txt'), root) == [
        'images/c.d.png', 'images/a.png']
    (root / 'train.txt').write_text('a\nz\n')
    with pytest.raises(MissingFileError, match='/images lacks 1 of 2 files: z'):
        build(root, ann_file='train.txt')


@pytest.mark.parametrize('name', ['../masks/a', '{root}/images/a.png', '../images/a.png'])
def test_a_list_names_nothing_outside(tree, name):
    """Names are searched among the files of the folder, and never joined to it."""
    root = tree(['images/a.png', 'masks/a.png'])
    (root / 'train.txt').write_text(name.format(root=root) + '\n')
    with pytest.raises(MissingFileError, match='/images lacks 1 of 1 files'):
        build(root, ann_file='train.txt')


def test_values_belong_to_classes(tree):
    root = tree(['images/a.png', 'masks/a.png'])
    for values in ({0: 0, 255: 1}, [(0, 0), [255, 1]]):
        assert build(root, values=values).get_data_info(0)['values'] == {0: 0, 255: 1}
    for values in ({0: 2}, {0: -1}, {}):
        with pytest.raises(CMIDError, match='one of 2 classes'):
            build(root, values=values)
    with pytest.raises(CMIDError, match='both say what 0 means'):
        build(root, values={1: 0}, reduce_zero_label=True)

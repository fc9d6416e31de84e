"""Which files belong together, and what is said where they do not."""
import pytest
from mmpretrain.registry import DATASETS

METAINFO = dict(classes=('field', 'wood'), palette=[(0, 0, 0), (9, 9, 9)])
SEGMENTATION = dict(img_path='images', seg_map_path='masks')
PAIRS = dict(img_path='A', img_path2='B', seg_map_path='label')


def build(root, prefix=SEGMENTATION, **kwargs):
    kwargs.setdefault('metainfo', METAINFO)
    return DATASETS.build(
        dict(type='MaskFolder', data_root=str(root), data_prefix=prefix, **kwargs))


def places(dataset, root, key='img_path'):
    return [dataset.get_data_info(i)[key].removeprefix(f'{root}/')
            for i in range(len(dataset))]


def test_names_agree_up_to_the_ending(tree):
    root = tree(['images/b.JPG', 'images/t/a.5_m.tif', 'images/.hidden.png', 'images/b.jgw',
                 'masks/b.png', 'masks/t/a.5_m.tif', 'masks/more.png'])
    dataset = build(root)
    assert places(dataset, root) == ['images/b.JPG', 'images/t/a.5_m.tif']
    assert places(dataset, root, 'seg_map_path') == ['masks/b.png', 'masks/t/a.5_m.tif']
    info = dataset.get_data_info(0)
    assert info['num_classes'] == 2 and info['reduce_zero_label'] is False
    assert info['seg_fields'] == [] and 'img_path2' not in info
    assert dataset.metainfo['classes'] == ('field', 'wood')
    assert build(root, reduce_zero_label=True).get_data_info(1)['reduce_zero_label'] is True


def test_two_dates(tree):
    root = tree([f'{part}/{i}.png' for part in 'AB' for i in (1, 2)]
                + ['label/1.png', 'label/2.png'])
    dataset = build(root, PAIRS)
    assert places(dataset, root, 'img_path2') == ['B/1.png', 'B/2.png']
    (root / 'B/2.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'/B lacks 1 of 2 files: 2 \(img_path2'):
        build(root, PAIRS)


def test_a_list_decides_what_is_taken_and_in_which_order(tree):
    root = tree([f'{part}/{name}.png' for part in ('images', 'masks')
                 for name in ('a', 'b', 'c.d')])
    (root / 'train.txt').write_text('c.d\n\na.png\n')
    assert places(build(root, ann_file='train.txt'), root) == [
        'images/c.d.png', 'images/a.png']
    (root / 'train.txt').write_text('a\nz\n')
    with pytest.raises(FileNotFoundError, match='/images lacks 1 of 2 files: z'):
        build(root, ann_file='train.txt')
    with pytest.raises(FileNotFoundError, match='the list file .*val.txt does not exist'):
        build(root, ann_file='val.txt')


@pytest.mark.parametrize('name', ['../masks/a', '{root}/images/a.png', '../images/a.png'])
def test_a_list_names_nothing_outside(tree, name):
    """Names are looked up among the files of the folder, and never joined to it."""
    root = tree(['images/a.png', 'masks/a.png'])
    (root / 'train.txt').write_text(name.format(root=root) + '\n')
    with pytest.raises(FileNotFoundError, match='/images lacks 1 of 1 files'):
        build(root, ann_file='train.txt')


def test_what_cannot_be_meant(tree, tmp_path):
    root = tree(['images/a.png', 'masks/x.png'])
    with pytest.raises(FileNotFoundError, match='/masks lacks 1 of 1 files: a'):
        build(root)
    root = tree(['images/a.png', 'images/a.jpg', 'masks/a.png'], tmp_path / 'twice')
    with pytest.raises(ValueError, match='a.png and .*a.jpg have the same name'):
        build(root)
    (tmp_path / 'none/images').mkdir(parents=True)
    (tmp_path / 'none/masks').mkdir()
    with pytest.raises(ValueError, match='there is no image'):
        build(tmp_path / 'none')
    with pytest.raises(FileNotFoundError, match='absent'):
        build(tmp_path / 'absent')
    with pytest.raises(ValueError, match='2 classes and 1 colours'):
        build(root, metainfo=dict(METAINFO, palette=[(0, 0, 0)]))
    with pytest.raises(ValueError, match='0 classes'):
        build(root, metainfo=None)

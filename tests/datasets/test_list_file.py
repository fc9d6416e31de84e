import pytest

from cmid_mm.datasets.folder_scan import IMAGE_EXTENSIONS
from cmid_mm.datasets.list_file import is_listable, read_list
from cmid_mm.utils.errors import CMIDError, MissingFileError

NAMES = ['a/1.jpg', 'a/with blank.png', 'b/3.tif', 'a/..b.jpg']


@pytest.fixture
def read(tree, tmp_path):
    """``read(text, ...)``: the result of reading a list with this text."""
    root = tree(NAMES)

    def call(text, with_label=False, **kwargs):
        path = tmp_path / 'list.txt'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_list(str(path), str(root), IMAGE_EXTENSIONS, with_label, **kwargs)
    return call


def test_paths_in_the_order_of_the_list(read):
    text = '\ufeffb/3.tif\r\n\r\n  a/with blank.png\na/1.jpg\na/..b.jpg'
    assert read(text) == (['b/3.tif', 'a/with blank.png', 'a/1.jpg', 'a/..b.jpg'], None)


def test_labels(read):
    text = 'b/3.tif 2\na/with blank.png\t0\n'
    files = ['b/3.tif', 'a/with blank.png']
    assert read(text, with_label=True) == (files, [2, 0])
    assert read(text) == (files, None)  # the same list serves training without labels


@pytest.mark.parametrize('path', ['/etc/hostname.jpg', '../secret.jpg',
                                  'a/../../secret.jpg', '..', 'a/../a/1.jpg'])
def test_outside_is_refused(read, path):
    with pytest.raises(CMIDError, match='line 2: .* outside .* allow_outside=True'):
        read(f'a/1.jpg\n{path}\n')


def test_outside_may_be_allowed(read, tmp_path):
    outside = tmp_path / 'outside.jpg'
    outside.touch()
    text = f'{outside}\n../outside.jpg\na/../a/1.jpg'
    assert read(text, allow_outside=True)[0] == text.split('\n')


def test_links_are_followed_but_not_back_from_their_target(read, tree, tmp_path):
    """After a link, the parent folder is that of the target, whatever the text suggests."""
    tree(['images/in.jpg', 'secret.jpg'], tmp_path / 'elsewhere')
    (tmp_path / 'tree' / 'a' / 'link').symlink_to(tmp_path / 'elsewhere' / 'images')
    assert read('a/link/in.jpg')[0] == ['a/link/in.jpg']
    with pytest.raises(CMIDError, match='line 1: a/link/../secret.jpg is outside'):
        read('a/link/../secret.jpg')


def test_missing_images_are_counted_and_named(read):
    text = 'a/1.jpg\ngone.jpg\n' + ''.join(f'gone{i}.jpg\n' for i in range(5))
    with pytest.raises(MissingFileError, match=r'names 6 of 7 .*gone.jpg \(line 2\)') as error:
        read(text)
    message = str(error.value)
    assert len(message.splitlines()) == 1 and 'gone4' not in message


def test_names_that_a_list_cannot_hold():
    assert is_listable('a b.jpg')
    assert not any(map(is_listable, ['a.jpg ', ' a.jpg', 'a\n.jpg', '\ufeffa.jpg', 'a\r.jpg']))

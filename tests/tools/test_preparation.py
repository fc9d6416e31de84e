"""What the preparation tools share: counts, windows, processes, the output folder."""
import os
import signal
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def preparation(converter):
    return converter('_preparation')


@pytest.mark.parametrize('counts, message', [
    (dict(a=2), 'the set is incomplete: b (0 of 1,000); download or unpack it again'),
    # what is missing comes first: what is too much may be what was misplaced
    (dict(a=9, b=3, c=0),
     'the set is incomplete: b (3 of 1,000), a (9 of 2); download or unpack it again'),
    (dict(a=3, b=1000, c=4),
     'the set has too many files: a (3 of 2), c (4 of 0); move away what does not belong to it'),
])
def test_wrong_counts_are_named(preparation, user_error, counts, message):
    preparation.expect(dict(a=2, b=1000, c=0), dict(a=2, b=1000), 'the set')
    with pytest.raises(user_error) as error:
        preparation.expect(counts, dict(a=2, b=1000), 'the set')
    assert str(error.value) == message
    with pytest.raises(user_error, match=r'n0 .*n3 \(0 of 1\) and 6 more;'):
        preparation.expect({}, {f'n{i}': 1 for i in range(10)}, 'the set')


@pytest.mark.parametrize('height, width, size, overlap', [
    (512, 512, 512, 0), (513, 1024, 512, 0), (1000, 600, 256, 64), (100, 700, 256, 0),
    (30, 40, 256, 200), (1024, 513, 512, 511)])
def test_windows_cover_everything(preparation, height, width, size, overlap):
    found = preparation.windows(height, width, size, overlap)
    assert len(set(found)) == len(found)
    covered = np.zeros((height, width), int)
    for top, left, bottom, right in found:
        assert (bottom - top, right - left) == (min(size, height), min(size, width))
        assert top >= 0 and left >= 0 and bottom <= height and right <= width
        covered[top:bottom, left:right] += 1
    assert covered.min() == 1
    assert found == sorted(found)


def test_windows_by_hand(preparation):
    assert preparation.windows(10, 7, 4, 1) == [
        (0, 0, 4, 4), (0, 3, 4, 7), (3, 0, 7, 4), (3, 3, 7, 7), (6, 0, 10, 4), (6, 3, 10, 7)]
    # 6000 px in 512 px without overlap: 11 fit, the twelfth is moved inside
    tops = sorted({top for top, *_ in preparation.windows(6000, 6000, 512)})
    assert len(tops) == 12 and tops[-2:] == [5120, 5488]


@pytest.mark.parametrize('workers', [1, 2])
def test_jobs_return_in_order(preparation, user_error, errors, capsys, workers):
    parent, factor = os.getpid(), 3
    results = preparation.run_jobs(lambda job: (job * factor, os.getpid() == parent),
                                   range(40), 'counting', workers)
    assert results == [(3 * job, workers == 1) for job in range(40)]
    output = capsys.readouterr()
    assert 'counting (40)' in output.err and 'ETA' in output.err and not output.out

    def fail(job):
        if job == 5:
            raise user_error('tile 5 is broken')
        return job

    with pytest.raises(user_error) as error:
        preparation.run_jobs(fail, range(9), 'failing', workers)
    assert errors.clear_line(error.value) == 'tile 5 is broken'
    with pytest.raises(ZeroDivisionError):
        preparation.run_jobs(lambda job: 1 / job, [1, 0], 'dividing', workers)


def test_a_killed_process_is_reported(preparation, user_error):
    with pytest.raises(user_error, match='a process was killed.*--workers 1'):
        preparation.run_jobs(lambda job: os.kill(os.getpid(), signal.SIGKILL), range(4),
                             'ending', 2)


def test_output_appears_complete_or_not_at_all(preparation, tmp_path):
    out = tmp_path / 'deep' / 'set'
    with pytest.raises(KeyboardInterrupt), preparation.output_folder(out) as folder:
        (folder / 'half').touch()
        raise KeyboardInterrupt
    assert list(out.parent.iterdir()) == []
    # the result of a killed call is not used, and the next call removes it
    folder.mkdir()
    (folder / 'old').touch()
    with preparation.output_folder(out) as again:
        assert again == folder and folder.parent == out.parent
        (folder / 'complete').touch()
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ['complete']
    assert [path.name for path in out.parent.iterdir()] == ['set']


def test_output_may_be_an_empty_folder_only(preparation, user_error, tmp_path):
    (tmp_path / 'file').touch()
    (tmp_path / 'empty').mkdir()
    with preparation.output_folder(tmp_path / 'empty') as folder:
        (folder / 'x').touch()
    for name in ('empty', 'file'):
        with pytest.raises(user_error, match=f'{name} exists and is not empty'):
            with preparation.output_folder(tmp_path / name):
                pass
    assert (tmp_path / 'empty' / 'x').is_file()


def test_arguments(preparation, user_error, tmp_path):
    def parse(*arguments):
        parser = preparation.argument_parser('Prepares.', 'set')
        return preparation.parse_args(parser, [str(argument) for argument in arguments])

    args = parse(tmp_path)
    assert (args.folder, args.out) == (tmp_path, Path('data/set'))
    assert 1 <= args.workers <= 16
    for arguments, message in (([tmp_path / 'gone'], 'gone does not exist'),
                               ([tmp_path, '--workers', 0], '--workers 0')):
        with pytest.raises(user_error, match=message):
            parse(*arguments)

"""List files of other packages' data sets, as a run finds them."""
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmpretrain.registry import HOOKS


@pytest.fixture
def runner(tmp_path):
    """``runner(text)``: as much of a runner as the hook looks at, with a list of this text."""
    def make(text):
        (tmp_path / 'train.txt').write_text(text)
        inner = SimpleNamespace(ann_file=str(tmp_path / 'train.txt'))
        folder = SimpleNamespace(ann_file=str(tmp_path))
        wrapped = SimpleNamespace(datasets=[folder, SimpleNamespace(dataset=inner)])
        loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=wrapped))
        return SimpleNamespace(_train_loop=loop, _val_loop=dict(), _test_loop=None)
    return make


def test_inner_names_pass(runner):
    HOOKS.build(dict(type='ListPathsHook')).before_run(runner('a\n\nb/c.d\nb/..e\n'))


@pytest.mark.parametrize('line', ['../a', '/etc/a', 'b/../../a'])
def test_the_line_is_named(runner, line):
    with pytest.raises(ValueError, match='train.txt, line 2: .* outside') as error:
        HOOKS.build(dict(type='ListPathsHook')).before_run(runner(f'a\n{line}\n'))
    assert line in str(error.value) and len(str(error.value).splitlines()) == 1
    HOOKS.build(dict(type='ListPathsHook', allow_outside=True)).before_run(runner(line))


@pytest.mark.parametrize('runtime', ['segmentation', 'change_detection/opencd'])
def test_configs_of_foreign_data_sets_have_it(runtime):
    from pathlib import Path
    configs = Path(__file__).resolve().parents[2] / 'configs'
    cfg = Config.fromfile(configs / runtime / '_base_' / 'default_runtime.py')
    assert dict(type='mmpretrain.ListPathsHook') in cfg.custom_hooks

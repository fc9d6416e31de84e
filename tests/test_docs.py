"""README and ``docs/`` name commands, files, sections and classes that exist."""
import importlib
import inspect
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
TOOLS = REPOSITORY / 'tools'
DOCS = sorted((REPOSITORY / 'docs').glob('*.md'))
PAGES = [REPOSITORY / 'README.md', REPOSITORY / 'CONTRIBUTING.md', *DOCS]
BY_NAME = pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)

# Shell scripts pass options that they do not know to these.
CALLED_BY = {'dist_train.sh': 'train.py', 'slurm_train.sh': 'train.py',
             'dist_test.sh': 'test.py', 'slurm_test.sh': 'test.py',
             'quickstart.sh': 'quickstart.py'}
OWN_OPTIONS = {'quickstart.sh': {'--family'}}


def commands(text):
    """Words of every command in a page's blocks of shell code; continued lines are one."""
    blocks = re.findall(r'^```(?:bash|shell)\n(.*?)^```', text, flags=re.M | re.S)
    for line in '\n'.join(blocks).replace('\\\n', ' ').splitlines():
        words = shlex.split(line, comments=True)
        # settings of the environment stand before the command
        while words and re.match(r'[A-Z_]+=', words[0]):
            words = words[1:]
        if words:
            yield words


@cache
def options_of(tool):
    """Options that a Python tool, or a module beside it that it imports, adds."""
    source = tool.read_text()
    own = set(re.findall(r"""add_argument\(\s*['"](--[\w-]+)['"]""", source)) | {'--help'}
    imported = set(re.findall(r'^\s*(?:from|import) (_\w+)', source, flags=re.M))
    files = [folder / f'{name}.py' for name in imported for folder in (tool.parent, TOOLS)]
    return own.union(*(options_of(file) for file in files if file.is_file()))


def tool_of(words):
    """The tool that a command calls and the words after it; None for other commands."""
    if words[:2] == ['mim', 'run']:
        found = list(TOOLS.rglob(f'{words[3]}.py'))
        assert len(found) == 1, f'mim finds {len(found)} tools {words[3]}'
        return found[0], words[4:]
    if words[0] == 'python':
        words = words[1:]
    if words[0].startswith('tools/'):
        return REPOSITORY / words[0], words[1:]
    return None


def check_options(tool, words):
    """AssertionError where the tool, or an option among the words, does not exist."""
    assert tool.is_file(), f'{tool} does not exist'
    if tool.name == 'run_tests.sh':
        return  # it passes everything to pytest
    called = TOOLS / CALLED_BY[tool.name] if tool.suffix == '.sh' else tool
    known = options_of(called) | OWN_OPTIONS.get(tool.name, set())
    # optional words stand in brackets
    words = [word.strip('[]').partition('=')[0] for word in words]
    unknown = {word for word in words if word.startswith('--')} - known
    assert not unknown, f'{tool.name} has no {unknown}'


@BY_NAME
def test_commands_call_tools_that_have_these_options(page):
    for words in commands(page.read_text()):
        found = tool_of(words)
        if found:
            check_options(*found)
        elif words[:1] == ['mim'] and words[1] in ('train', 'test'):
            assert len(list((REPOSITORY / 'configs').rglob(words[3]))) == 1, words[3]


@BY_NAME
def test_named_tools_and_configs_exist(page):
    named = set(re.findall(r'(?<![\w/.*-])(?:tools|configs)/[\w./-]+\.(?:py|sh|yml)\b',
                           page.read_text()))
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


def test_options_are_found_where_tools_add_them():
    """Otherwise the tests above would prove nothing."""
    assert {'--resume', '--amp', '--cfg-options', '--launcher'} <= options_of(TOOLS / 'train.py')
    assert '--encoder' not in options_of(TOOLS / 'train.py')
    converter = TOOLS / 'dataset_converters' / 'dota.py'
    assert {'--out', '--rates', '--keep', '--splits'} <= options_of(converter)
    with pytest.raises(AssertionError, match='--epoch'):
        check_options(TOOLS / 'dist_train.sh', ['CONFIG', '8', '--epoch', '3'])
    found = list(commands('```bash\nA=1 tools/x.sh a \\\n  --b  # c\n```\n```python\nd\n```\n'))
    assert found == [['tools/x.sh', 'a', '--b']]


# ---------------------------------------------------------------- links


def sections(page):
    """What the titles of a page are called in links: ``More bands`` is ``more-bands``."""
    titles = re.findall(r'^#+ (.+)$', page.read_text(), flags=re.M)
    return {re.sub(r'[^\w -]', '', title.lower()).replace(' ', '-') for title in titles}


@BY_NAME
def test_links_lead_somewhere(page):
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        if '://' in target:
            continue
        file, _, section = target.partition('#')
        found = page.parent / file if file else page
        assert found.exists(), f'{target} in {page.name}'
        assert not section or section in sections(found), f'{target} in {page.name}'


def test_every_page_is_on_the_site():
    listed = re.findall(r'^```{toctree}\n(.*?)^```', (REPOSITORY / 'docs/index.md').read_text(),
                        flags=re.M | re.S)
    names = [line for block in listed for line in block.splitlines()
             if line and not line.startswith(':')]
    pages = [*DOCS, *(REPOSITORY / 'docs').glob('*.ipynb')]
    assert sorted(names) == sorted(page.stem for page in pages if page.stem != 'index')


# ---------------------------------------------------------------- reference


@pytest.mark.parametrize('package', [
    'apis', 'datasets', 'datasets.samplers', 'datasets.transforms', 'engine.hooks',
    'engine.optimizers', 'engine.runners', 'engine.schedulers', 'evaluation.metrics',
    'models.heads', 'models.losses', 'models.necks', 'models.preprocessing', 'models.selfsup',
    'checkpoints'])
def test_reference_has_everything_that_is_registered(package):
    listed = re.findall(r'auto(?:class|function):: (\w+)',
                        (REPOSITORY / 'docs' / 'api.md').read_text())
    module = importlib.import_module(f'cmid_mm.{package}')
    assert set(module.__all__) <= set(listed)
    assert all(inspect.getdoc(getattr(module, name)) for name in module.__all__)

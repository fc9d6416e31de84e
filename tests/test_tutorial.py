"""The tutorial as it was executed."""
import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / 'docs' / 'tutorial.ipynb'
CELLS = [cell for cell in json.loads(PAGE.read_text())['cells'] if cell['cell_type'] == 'code']


def test_it_ran_from_top_to_bottom_without_an_error():
    assert [cell['execution_count'] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    kinds = {output['output_type'] for cell in CELLS for output in cell['outputs']}
    assert 'error' not in kinds and {'display_data', 'stream', 'execute_result'} >= kinds


def test_it_took_less_than_ten_minutes():
    (minutes, ) = re.findall(r'([\d.]+) minutes in all', ''.join(CELLS[-1]['outputs'][0]['text']))
    assert float(minutes) < 10


def test_it_shows_pictures_and_no_path_of_the_machine_that_ran_it():
    pictures = [output for cell in CELLS for output in cell['outputs']
                if {'image/png', 'image/jpeg'} & set(output.get('data', {}))]
    assert len(pictures) >= 6
    texts = ''.join(line for cell in CELLS for output in cell['outputs']
                    for line in output.get('text', []))
    assert not re.search(r'(?<![\w.])/(?:home|tmp|root|usr|work)/', texts)


@pytest.mark.parametrize('cell', CELLS, ids=lambda cell: cell['id'])
def test_its_tools_and_configs_exist(cell):
    named = re.findall(r'(?:tools|configs)/[\w./-]+\.py', ''.join(cell['source']))
    assert [name for name in named if not (PAGE.parents[1] / name).is_file()] == []

"""Documentation site: ``pip install -r requirements/docs.txt``, then

sphinx-build -W -b html docs docs/_build
"""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# the clone, whether or not it is installed
sys.path.insert(0, str(ROOT))

from cmid_mm.version import __version__  # noqa: E402

project = 'cmid-mm'
author = copyright = 'cmid-mm contributors'
version = release = __version__

# myst_nb reads Markdown and notebooks
extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
exclude_patterns = ['_build']

myst_enable_extensions = ['colon_fence', 'dollarmath']
# links to sections: other_page.md#name-of-the-section
myst_heading_anchors = 3
# notebooks show what they gave when they were written
nb_execution_mode = 'off'

autodoc_typehints = 'none'
autodoc_member_order = 'bysource'
napoleon_numpy_docstring = False

html_theme = 'furo'
html_title = f'cmid-mm {version}'

"""Sphinx: the documentation site. `make docs`, or: sphinx-build -W -n -b html docs docs/_build."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

from snnlens.provenance import snnlens_version  # noqa: E402 - the path comes first

project = "snnlens"
author = "The snnlens developers"
project_copyright = author
release = version = snnlens_version()

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "snnlens_docs",
]
exclude_patterns = [".jupyter_cache", "_build", "_ext", "jupyter_execute", "schema"]
highlight_language = "text"
smartquotes_action = "D"  # dashes alone: quotes and ... stay as they are written
default_role = "literal"  # a name in single quotes, as docstrings have it, is code
nitpick_ignore_regex = [("py:.*", r"(?!snnlens\.).*")]  # other projects' names: nothing is fetched
suppress_warnings = ["toc.empty_glob"]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

# Notebooks are shown as they are saved: without outputs. To run them first (minutes), and show what
# they print and draw: make docs ARGS="-D nb_execution_mode=cache".
nb_execution_mode = "off"
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_ipywidgets_js = {}  # nothing is loaded from elsewhere

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"snnlens {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None

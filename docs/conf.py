"""How Sphinx makes pages of this folder: `make docs`.

The lesson is run while it is built, and a cell that fails stops the build.
"""

import sys
from pathlib import Path

from sphinx.ext.napoleon import GoogleDocstring

from unrolled import __version__

sys.path.insert(0, str(Path(__file__).parent))
from notebooks import MARK, write_notebooks

project = "unrolled"
author = "the authors of unrolled"
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "cyclopts.ext.sphinx"]
exclude_patterns = ["_build", "jupyter_execute"]  # the second is where a build leaves the notebooks it has run

myst_heading_anchors = 3  # questions and the contents of experiments link to sections

nb_execution_mode = "force"  # always: a change of the library changes what a page shows
nb_execution_in_temp = True  # what a page writes does not land in docs/
nb_execution_timeout = 3600  # seconds a cell, to end hangs: the notes train for minutes, and longer on a busy machine
nb_execution_raise_on_error = True
nb_merge_streams = True

# What stands before a colon in the docstring of an attribute is prose here, not a type.
GoogleDocstring._parse_attribute_docstring = GoogleDocstring._consume_to_end
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True  # a function as default is shown by its name
smartquotes_action = "qe"  # two hyphens are the beginning of an option, not a dash
default_role = "literal"  # docstrings mark code with single backquotes

html_theme = "sphinx_book_theme"
html_title = "unrolled"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {
    "navbar_persistent": [],  # the search field of the sidebar is enough
    "secondary_sidebar_items": [],  # its place is needed for wide pictures
    "use_download_button": False,
    "use_fullscreen_button": False,
}


def _offer_notebook(app, page, source):
    """Under the title of a page of the lesson: a link to it as a notebook."""
    if MARK in source[0]:
        name = page.rpartition("/")[2]
        link = f'<a href="../notebooks/{name}.ipynb" download>Download this page as a notebook</a>'
        head, title, rest = source[0].partition("\n# ")
        first, line, rest = rest.partition("\n")
        source[0] = f"{head}{title}{first}{line}\n{link}\n{rest}"


def setup(app):
    """Notebooks of the lesson beside its pages."""
    app.connect("builder-inited", lambda app: write_notebooks(Path(app.outdir) / "notebooks"))
    app.connect("source-read", _offer_notebook)

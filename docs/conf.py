"""How Sphinx makes pages of this folder: `make docs`.

The lesson is run while it is built, and a cell that fails stops the build.
"""

from unrolled import __version__

project = "unrolled"
author = "the authors of unrolled"
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "cyclopts.ext.sphinx"]
exclude_patterns = ["_build"]

myst_heading_anchors = 2  # the index of questions links to sections

nb_execution_mode = "force"  # always: a change of the library changes what a page shows
nb_execution_in_temp = True  # what a page writes does not land in docs/
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
default_role = "literal"  # docstrings mark code with single backquotes

html_theme = "sphinx_book_theme"
html_title = "unrolled"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {
    "secondary_sidebar_items": [],  # its place is needed for wide pictures
    "use_download_button": False,
    "use_fullscreen_button": False,
}

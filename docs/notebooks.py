"""Notebooks of the lesson's pages, without outputs: `make notebooks`, and while the site is built.

python docs/notebooks.py FOLDER
"""

import sys
from pathlib import Path

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig

LESSON = Path(__file__).parent / "lesson"
MARK = "file_format: mystnb"


def write_notebooks(out: Path) -> list[Path]:
    """A notebook in `out` for every page that is one."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for page in sorted(LESSON.glob("*.md")):
        text = page.read_text("utf-8")
        if MARK in text:
            notebook = read_myst_markdown_notebook(text, MdParserConfig())
            notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
            written.append(out / f"{page.stem}.ipynb")
            nbformat.write(notebook, written[-1])
    return written


if __name__ == "__main__":
    for path in write_notebooks(Path(sys.argv[1])):
        print(path)

"""Notebooks of the lesson's pages, without outputs: `make notebooks`, and while the site is built.

python docs/notebooks.py FOLDER
"""

import re
import sys
from pathlib import Path

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig

LESSON = Path(__file__).parent / "lesson"
MARK = "file_format: mystnb"
LINK = re.compile(r"\[([^\]]+)\]\((?!http)([^)#]+\.md)[^)]*\)")
BEFORE = (
    "*A page of the lesson of unrolled. To run it: `pip install '.[all]' jupyterlab` in a clone of the repository, "
    "then `jupyter lab` in the folder of this file.*"
)


def write_notebooks(out: Path) -> list[Path]:
    """A notebook in `out` for every page that is one."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for page in sorted(LESSON.glob("*.md")):
        text = page.read_text("utf-8")
        if MARK in text:
            notebook = read_myst_markdown_notebook(LINK.sub(_to_notebook, text), MdParserConfig())
            notebook.cells.insert(0, nbformat.v4.new_markdown_cell(BEFORE, id="before"))
            notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
            written.append(out / f"{page.stem}.ipynb")
            nbformat.write(notebook, written[-1])
    return written


def _to_notebook(link: re.Match[str]) -> str:
    """A link to a page leads to its notebook; of one to anything else only the words are left."""
    words, page = link[1], LESSON / link[2]
    return f"[{words}]({page.stem}.ipynb)" if MARK in page.read_text("utf-8") else words


if __name__ == "__main__":
    for path in write_notebooks(Path(sys.argv[1])):
        print(path)

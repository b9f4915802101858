"""Every page of the lesson runs, shows a diagram and a plot, and ends with questions and a thing to try."""

import ast
import re
import sys
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from data import shared_data
from unrolled.look.diagram.shapes import Drawing

LESSON = Path(__file__).parents[2] / "docs" / "lesson"
PAGES = sorted(LESSON.glob("[0-9]*.md"), key=lambda page: int(page.name.split("-")[0]))
NOTES = LESSON / "notes.md"
ENDING = ["Three questions", "A thing to try", "What it cost"]
CELL = re.compile(r"^```\{code-cell\} python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def cells_of(page):
    return CELL.findall(page.read_text("utf-8"))


def run_cell(code, namespace):
    """Run a cell as a notebook does; returns the value of its last line if that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace) if last else None


def run_cells(cells):
    """What a notebook of these cells shows."""
    namespace = {"__name__": "__main__"}
    with torch.random.fork_rng():
        return [run_cell(code, namespace) for code in cells]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_and_shows_a_diagram_and_a_plot(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    shown = run_cells(cells_of(page))
    assert not [value for value in shown if value is not None and not hasattr(value, "_repr_svg_")]
    drawings = [value for value in shown if isinstance(value, Drawing)]
    figures = [value for value in shown if isinstance(value, Figure)]
    assert drawings
    assert all(drawing._repr_svg_().startswith("<svg") for drawing in drawings)
    assert figures
    assert all("<svg" in figure._repr_svg_() for figure in figures)  # type: ignore[attr-defined]
    assert "assert" in "".join(cells_of(page))


def test_the_notes_run_on_a_part_of_their_windows(tmp_path, monkeypatch):
    """Every cell as it stands but for `every`; `make docs` reads all windows."""
    monkeypatch.setenv("UNROLLED_MIRROR", shared_data("nietzsche.txt").parent.as_uri())
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    cells = cells_of(NOTES)
    cells[0] = cells[0].replace("every = 1\n", "every = 80\n")
    assert "every = 80\n" in cells[0]
    shown = run_cells(cells)
    assert len([value for value in shown if isinstance(value, Figure)]) == 2
    assert len([value for value in shown if isinstance(value, Drawing)]) == 1


@pytest.mark.parametrize("page", [*PAGES, NOTES], ids=lambda page: page.stem)
def test_a_page_imports_what_a_reader_would_expect(page):
    """The library's public face alone."""
    roots = re.findall(r"^ *(?:from|import) (\S+)", "".join(cells_of(page)), re.MULTILINE)
    ours = {root for root in roots if root.startswith("unrolled.")}
    assert ours <= (set() if page == NOTES else {"unrolled.lesson"})
    assert {root.split(".")[0] for root in roots} <= {"unrolled", "numpy", "torch", *sys.stdlib_module_names}


def test_there_are_ten_pages_in_order():
    assert [page.name.split("-")[0] for page in PAGES] == list(map(str, range(1, 11)))
    titles = [re.search(r"^# (\d+) · ", page.read_text("utf-8"), re.MULTILINE) for page in PAGES]
    assert [title and title[1] for title in titles] == list(map(str, range(1, 11)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_made_for_execution_and_ends_with_questions_and_a_thing_to_try(page):
    text = page.read_text("utf-8")
    assert text.startswith("---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n")
    assert text.count("```{code-cell}") == len(cells_of(page))  # none escapes the test above
    assert re.findall("^## (.*)$", text, re.MULTILINE)[-3:] == ENDING
    questions = text.split("## Three questions")[1]
    questions = re.findall(r"<details>\n<summary>(\d)\. [^\n]*\?</summary>\n\n[^<]+\n\n</details>", questions)
    assert questions == ["1", "2", "3"]


def headings(page):
    """The anchors of a page's sections, as the site and GitHub make them: punctuation goes, spaces become hyphens."""
    found = re.findall("^## (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_every_question_leads_to_the_section_that_answers_it():
    text = (LESSON / "questions.md").read_text("utf-8")
    assert re.findall(r"^(\d+)\. \*\*.*\?\*\*$", text, re.MULTILINE) == list(map(str, range(1, 11)))
    links = re.findall(r"\]\(([^)#]+)#([^)]+)\)", text)
    assert len(links) == 10
    for page, anchor in links:
        assert anchor in headings(LESSON / page), (page, anchor)


@pytest.mark.parametrize("page", [*PAGES, NOTES], ids=lambda page: page.stem)
def test_code_fits_the_page(page):
    assert max(len(line) for code in cells_of(page) for line in code.splitlines()) <= 100


@pytest.mark.parametrize("page", [*PAGES, NOTES], ids=lambda page: page.stem)
def test_links_between_pages_lead_somewhere(page):
    prose = CELL.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\((?!http)([^)#]+)", prose):
        assert (page.parent / target).exists(), target


def test_a_failing_cell_fails():
    with pytest.raises(AssertionError):
        run_cell("x = 1\nassert x == 2", {})


def test_a_cell_shows_its_last_expression():
    assert run_cell("x = 20\nx + 1", {}) == 21
    assert run_cell("x = 20", {}) is None

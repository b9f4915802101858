"""Self-contained HTML pages, and Markdown tables: the one writer of both.

No script, no font and no style comes from elsewhere, so that a page can be mailed. Left out: what is on the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from unrolled.embedding import visible
from unrolled.errors import InputError

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6975; --line: #d8dee4; --paper: #fff; --bar: #8fb4d9;
  --dot: #c2410c; --band: #e5e9ed; --keep: #14713d; --look: #b3261e; --merge: #7a4fb5; --safe: #8a5a00;
  --best: #e3f1e7 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9fb0bf; --line: #36424d; --paper: #151b21;
  --bar: #47719b; --dot: #fb923c; --band: #2b353f; --keep: #5fc98d; --look: #ff8a80; --merge: #c3a2f0; --safe: #e0b15c;
  --best: #1d3a2a } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 84rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 0 .3rem } p { max-width: 62rem; margin: .4rem 0 } .soft { color: var(--soft) }
.scroll { overflow-x: auto } table { border-collapse: collapse; margin: 1rem 0; width: 100% }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--line); vertical-align: bottom }
th, td { padding: .45rem .6rem } td { border-bottom: 1px solid var(--line); vertical-align: top }
.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td { font-size: .87rem } .name { font-weight: 600; overflow-wrap: anywhere; min-width: 9rem }
small { color: var(--soft); display: block; font-weight: 400 }
.best { background: var(--best); font-weight: 600 } .reason { min-width: 17rem; max-width: 26rem }
.verdict { font-weight: 600; white-space: nowrap } .keep { color: var(--keep) } .look { color: var(--look) }
.merge { color: var(--merge) } .safe { color: var(--safe) } svg { display: block } img { max-width: 100% }
"""


def check_out(path: Path | None, endings: Sequence[str], noun: str) -> None:
    """Raise InputError for a file that cannot be written: of another ending, or in a folder that is not there."""
    if path is None:
        return
    if path.suffix not in endings:
        raise InputError(f"{path} ends in {path.suffix or 'nothing'!r}: {noun} ends in {', '.join(endings)}")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: the folder {path.parent} does not exist, make it first")


def column_title(name: str) -> str:
    """A column's name for people: only blanks that would go unseen, at its ends or several together, are shown."""
    words = name.split(" ")
    return " ".join(map(visible, words)) if all(words) else visible(name)


def figure(value: float, decimals: int = 4) -> str:
    """A number with so many decimals, and without a sign where that leaves nothing but zeros."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def html_page(title: str, body: str, style: str = STYLE) -> str:
    """A whole HTML document; `title` is escaped, `body` and `style` are HTML and CSS already."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def html_table(head: Sequence[str], rows: Iterable[str], numeric: Sequence[int] = ()) -> str:
    """A table of headings, which are escaped, and of rows, which are HTML already; `numeric` ones are set right."""
    cells = "".join(cell_head(name, i in numeric) for i, name in enumerate(head))
    return (
        f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>\n'
        + "\n".join(rows)
        + ("\n</tbody></table></div>")
    )


def cell_head(name: str, right: bool) -> str:
    """One heading; `name` is escaped."""
    return f"<th{' class=number' if right else ''}>{escape(name)}</th>"


def cell(text: str, kind: str | None = None) -> str:
    """One cell; `text` is HTML already."""
    return f'<td class="{kind}">{text}</td>' if kind else f"<td>{text}</td>"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """A Markdown table; columns at the positions `numeric` are set to the right."""
    marks = ["---:" if i in numeric else "---" for i in range(len(head))]
    lines = [head, marks, *([markdown_text(text) for text in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def markdown_text(text: str) -> str:
    """`text` so that it stays within its cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")

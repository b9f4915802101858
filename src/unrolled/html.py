"""Self-contained HTML pages, and Markdown tables: the one writer of both.

No script, no font and no style comes from elsewhere, so that a page can be mailed. Left out: what is on the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from unrolled.embedding import visible

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #566470; --line: #d8dee4; --paper: #fff; --bar: #8fb4d9;
  --dot: #c2410c; --band: #e5e9ed; --keep: #14713d; --look: #b3261e; --merge: #7a4fb5; --safe: #8a5a00;
  --best: #e3f1e7; --with: #2563a8; --without: #8794a1 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9fb0bf; --line: #36424d; --paper: #151b21;
  --bar: #47719b; --dot: #fb923c; --band: #2b353f; --keep: #5fc98d; --look: #ff8a80; --merge: #c3a2f0; --safe: #e0b15c;
  --best: #1d3a2a; --with: #6cb0f5; --without: #7d8b98 } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 1.5rem auto;
  max-width: 84rem; padding: 0 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; margin: 0 0 .4rem } p { max-width: 62rem; margin: .4rem 0 } .soft { color: var(--soft) }
.lead { font-size: 1.15rem; font-weight: 600 }
.scroll { overflow-x: auto } table { border-collapse: collapse; margin: 1rem 0; width: 100% }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--line); vertical-align: bottom }
th button { all: unset; cursor: pointer } th button:focus-visible { outline: 2px solid var(--with) }
th button::after { content: " \\2195"; color: var(--soft) }
th[aria-sort=ascending] button::after { content: " \\2191" }
th[aria-sort=descending] button::after { content: " \\2193" }
th, td { padding: .45rem .6rem; overflow-wrap: normal } td { border-bottom: 1px solid var(--line); vertical-align: top }
.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td { font-size: .87rem } .name { font-weight: 600; overflow-wrap: anywhere; min-width: 7rem; max-width: 12rem }
small { color: var(--soft); display: block; font-weight: 400 }
.best { background: var(--best); font-weight: 600 } .reason { min-width: 15rem; max-width: 26rem }
.verdict { font-weight: 600; white-space: nowrap } .keep { color: var(--keep) } .look { color: var(--look) }
.merge { color: var(--merge) } .safe { color: var(--safe) } svg { display: block } img { max-width: 100% }
svg text { fill: var(--soft); font-size: 11px } .grid { stroke: var(--line) } text.tick { text-anchor: middle }
input[type=search] { font: inherit; padding: .35rem .6rem; width: min(22rem, 100%); box-sizing: border-box;
  color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: .3rem }
.order { display: none } .order select { font: inherit; color: inherit; background: var(--paper);
  border: 1px solid var(--line); border-radius: .3rem; padding: .3rem }
.tools { display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: center; margin-top: 1rem }
.key { color: var(--soft); margin-top: 1.2rem } .key svg { display: inline-block; vertical-align: -1px;
  margin-left: .4rem }
.dots { display: grid; grid-template-columns: max-content minmax(0, 1fr); align-items: center; gap: 0 .8rem;
  max-width: 62rem } .dots svg { width: 100%; overflow: visible } .dots .axis { color: var(--soft); text-align: center }
circle.with, line.with { fill: var(--with); stroke: var(--with) } line.without { stroke: var(--without) }
circle.open, circle.without { fill: var(--paper); stroke: var(--without); stroke-width: 2 }
circle.open { stroke: var(--with) } line.zero { stroke: var(--soft) }
details { margin-top: .3rem } summary { cursor: pointer; color: var(--soft) }
.chart td, .chart th { border: 0; padding: .1rem .5rem .1rem 0; font-size: .8rem; font-weight: 400; color: inherit }
.chart { width: auto; margin: .3rem 0 }
@media (max-width: 48rem) {
  .dots { grid-template-columns: minmax(0, 1fr) } .dots > span:empty { display: none } .dots .label { font-weight: 600 }
  .cards > thead { display: none } .order { display: inline }
  .cards, .cards > tbody, .cards > tbody > tr, .cards > tbody > tr > td { display: block }
  .cards > tbody > tr[hidden] { display: none }
  .cards > tbody > tr { border-bottom: 2px solid var(--line); padding: .5rem 0 }
  .cards > tbody > tr > td { border: 0; padding: .2rem 0; text-align: left; max-width: none; white-space: normal }
  .cards > tbody > tr > td:empty { display: none }
  .cards > tbody > tr > td[data-label]::before { content: attr(data-label); color: var(--soft); font-weight: 400;
    display: block; font-size: .8rem }
  .cards .best { padding-left: .5rem } .name { font-size: 1.05rem; max-width: none } }
@media print { .tools { display: none } }
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], box = table.closest(".scroll").previousElementSibling;
  const search = box && box.querySelector("input[type=search]"), told = box && box.querySelector(".count");
  const key = (row, i) => { const cell = row.cells[i], key = cell.dataset.sort ?? cell.textContent;
    return isNaN(key) || key === "" ? key : Number(key); };
  [...table.tHead.rows[0].cells].forEach((head, i) => head.querySelector("button")?.addEventListener("click", () => {
    const before = head.getAttribute("aria-sort");
    const numeric = body.rows.length && typeof key(body.rows[0], i) === "number";
    const down = before ? before === "ascending" : numeric;  // numbers start with the largest
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].sort((a, b) => { const x = key(a, i), y = key(b, i);
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
      return down ? -order : order; });
    body.append(...rows); }));
  const order = box && box.querySelector("select");  // a narrow screen shows no headings
  order?.addEventListener("change", () => table.tHead.rows[0].cells[order.value].querySelector("button").click());
  search?.addEventListener("input", () => { let shown = 0; const wanted = search.value.trim().toLowerCase();
    for (const row of body.rows) { row.hidden = !row.dataset.search.includes(wanted); shown += !row.hidden; }
    told.textContent = `${shown} of ${body.rows.length}`; });
}
"""


LONGEST_NAME = 60


def column_title(name: str) -> str:
    """A column's name, or a value of it, for people.

    Blanks are shown only where they would go unseen, at its ends or several together, and of a long one the beginning
    and the end.
    """
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 20]}…{name[-19:]}"
    words = name.split(" ")
    return " ".join(map(visible, words)) if all(words) else visible(name)


def figure(value: float, decimals: int = 4) -> str:
    """A number with so many decimals, and without a sign where that leaves nothing but zeros."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers within [low, high], at most `most` of them where they can be; the middle where there are none."""
    if not low < high:
        return [low]
    raw = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)] or [(low + high) / 2]


def html_page(title: str, body: str, style: str = STYLE, script: str = "") -> str:
    """A whole HTML document; `title` is escaped, `body` and `style` are HTML and CSS already.

    `script` runs once the page has been read.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>\n{body}\n"
        + (f"<script>{script}</script>\n" if script else "")
        + "</body></html>\n"
    )


def notebook_frame(page: str) -> str:
    """A page as a frame for a notebook, whose own styles and ours stay apart."""
    return f'<iframe srcdoc="{escape(page)}" style="width:100%;height:640px;border:0" loading="lazy"></iframe>'


def html_table(head: Sequence[str], rows: Iterable[str], numeric: Sequence[int] = (), sortable: bool = False) -> str:
    """A table of headings, which are escaped, and of rows, which are HTML already; `numeric` ones are set right.

    A `sortable` one is sorted by a click on a heading (`SCRIPT`). On a narrow screen each row becomes a card.
    """
    cells = "".join(_heading(name, i in numeric, sortable) for i, name in enumerate(head))
    kind = "cards sortable" if sortable else "cards"
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{cells}</tr></thead><tbody>\n'
        + "\n".join(rows)
        + "\n</tbody></table></div>"
    )


def search_box(count: int, noun: str, head: Sequence[str]) -> str:
    """A field that filters the rows of the sortable table after it, how many it shows, and on a narrow screen a choice
    of the heading of `head` to sort by."""
    options = "".join(f'<option value="{i}">{escape(name)}</option>' for i, name in enumerate(head))
    return (
        f'<div class="tools"><input type="search" placeholder="Search {noun}" aria-label="Search {noun}">'
        f'<span class="soft count">{count} of {count}</span>'
        f'<label class="order">Sort by <select><option hidden>as listed</option>{options}</select></label></div>'
    )


def _heading(name: str, right: bool, sortable: bool) -> str:
    text = f"<button>{escape(name)}</button>" if sortable else escape(name)
    return f"<th{' class=number' if right else ''} scope=col>{text}</th>"


def cell(text: str, kind: str = "", label: str = "", sort: str | float | None = None) -> str:
    """One cell; `text` is HTML already. `label` names it on a narrow screen, `sort` is what it is sorted by."""
    given = {"class": kind, "data-label": label, "data-sort": "" if sort is None else f"{sort}"}
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in given.items() if value)
    return f"<td{attributes}>{text}</td>"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """A Markdown table; columns at the positions `numeric` are set to the right."""
    marks = ["---:" if i in numeric else "---" for i in range(len(head))]
    lines = [head, marks, *([markdown_text(text) for text in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def markdown_text(text: str) -> str:
    """`text` so that it stays within its cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")

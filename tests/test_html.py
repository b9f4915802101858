"""Pages: round ticks, escaped attributes, and a table that is searched and sorted in a real browser."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve import browser
from unrolled.html import SCRIPT, cell, column_title, html_page, html_table, notebook_frame, search_box, ticks


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    with browser.browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_lie_within_and_are_evenly_spaced(low: float, width: float, most: int) -> None:
    found = ticks(low, low + width, most)
    assert 1 <= len(found) <= most
    assert all(low - width * 1e-6 <= tick <= low + width * (1 + 1e-6) for tick in found)
    steps = [b - a for a, b in pairwise(found)]
    assert all(step == pytest.approx(steps[0], rel=1e-3) for step in steps)


def test_ticks_are_round() -> None:
    assert ticks(0, 1, 5) == [0, 0.25, 0.5, 0.75, 1]
    assert ticks(3, 3) == [3]


def test_attributes_are_escaped_and_empty_ones_left_out() -> None:
    assert cell("1", "number", 'a"b', 2) == '<td class="number" data-label="a&quot;b" data-sort="2">1</td>'
    assert cell("") == "<td></td>"
    assert '"<b>' not in notebook_frame(html_page("t", '<b title="x">'))


@pytest.mark.skipif(browser.PATH is None, reason="no Chromium or Chrome on the PATH")
@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("", ["ten", "two", "one"]),
        ("heads[1].click()", ["ten", "two", "one"]),  # numbers start with the largest
        ("heads[1].click(); heads[1].click()", ["one", "two", "ten"]),
        ("heads[0].click()", ["one", "ten", "two"]),
        ("find('T')", ["ten", "two"]),
        ("find('tw'); heads[0].click()", ["two"]),
        ("find('nothing')", []),
    ],
)
def test_a_table_is_searched_and_sorted(opened: browser.Page, tmp_path: Path, action: str, shown: list[str]) -> None:
    values = {"ten": 10, "two": 2, "one": 1}
    rows = [
        f'<tr data-search="{name}">{cell(name, sort=name)}{cell("x", sort=value)}</tr>'
        for name, value in values.items()
    ]
    body = search_box(3, "rows", ("Name", "Value")) + html_table(("Name", "Value"), rows, (1,), sortable=True)
    act = (
        "const heads = document.querySelectorAll('th button'), box = document.querySelector('input');"
        "const find = text => { box.value = text; box.dispatchEvent(new Event('input')); };"
    )
    page = tmp_path / "page.html"
    page.write_text(html_page("Rows", body, script=f"{SCRIPT}\n{act}\n{action}"), encoding="utf-8")
    opened.open(page.as_uri())
    opened.wait_for(f"location.href == '{page.as_uri()}' && document.readyState == 'complete'")
    visible = "[...document.querySelectorAll('tr[data-search]:not([hidden])')].map(row => row.dataset.search)"
    assert opened.run(visible) == shown
    if "find" in action:
        assert f"{len(shown)} of 3" in opened.run("document.body.innerText")


def test_a_long_name_is_shown_by_its_beginning_and_its_end() -> None:
    shown = column_title("a" * 150 + "b" * 150)
    assert len(shown) == 60
    assert shown.startswith("a" * 40)
    assert shown.endswith("…" + "b" * 19)
    assert column_title("shop name") == "shop name"

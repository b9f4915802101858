"""The page in a real browser: it draws what the model says, and does what a person asks of it."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from serve import browser
from serve.browser import Page
from serve.conftest import MODEL
from serve.running import Running
from tiny import TEXT as CORPUS
from unrolled.embedding import visible
from unrolled.model.attribution import exchange

pytestmark = pytest.mark.skipif(browser.PATH is None, reason="no chromium or google-chrome on the PATH")
TEXT = "the cat sat on the mat.\nThe dog"
BARS = "[...document.querySelectorAll('#bars .name')].map(e => e.textContent)"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(tab: Page, server: Running) -> Iterator[Page]:
    """The page with TEXT in its box, drawn to the end."""
    tab.open("about:blank")
    tab.problems.clear()
    tab.open(f"{server.address}/#{quote(TEXT)}")
    tab.wait_for("document.querySelectorAll('#painted span').length && document.querySelectorAll('#map g').length > 1")
    tab.wait_for("document.querySelectorAll('#strip button').length")
    yield tab
    assert tab.problems == []


def value(page: Page) -> str:
    return page.run("document.getElementById('text').value")


def expected_bars(text: str) -> list[str]:
    return [visible(character) for character, _ in MODEL.next(text)[:12]]


def wait_for_bars(page: Page, text: str) -> None:
    """Until the bars are those after `text`."""
    expected = json.dumps(expected_bars(text), ensure_ascii=False, separators=(",", ":"))
    page.wait_for(f"JSON.stringify({BARS}) === {json.dumps(expected)}")


def typed(page: Page, text: str) -> None:
    page.run(f"document.getElementById('text').value = {json.dumps(text)}")
    page.run("document.getElementById('text').dispatchEvent(new Event('input'))")


def test_it_draws_the_distribution_the_surprise_the_memory_and_the_map(page: Page) -> None:
    assert page.run(BARS) == expected_bars(TEXT)
    widths = page.run("[...document.querySelectorAll('#bars .fill')].map(e => parseFloat(e.style.width))")
    probabilities = [p for _, p in MODEL.next(TEXT)[:12]]
    assert widths == pytest.approx([100 * p / probabilities[0] for p in probabilities], rel=1e-3)
    assert page.run("document.getElementById('painted').textContent") == TEXT.replace("\n", "⏎\n")
    assert page.run("document.querySelectorAll('#strip button').length") == len(TEXT)
    assert page.run("document.querySelectorAll('#map g[data-character]').length") == len(MODEL.vocabulary.characters)
    shown = page.run("[...document.querySelectorAll('#figures .value')].map(e => Number(e.textContent))")
    assert shown == pytest.approx(
        [getattr(MODEL.score(TEXT), name) for name in ("bits", "xz_bits", "gzip_bits")], abs=0.01
    )


def test_a_bar_writes_its_character(page: Page) -> None:
    first = MODEL.next(TEXT)[0][0]
    page.run("document.querySelector('#bars button').click()")
    assert value(page) == TEXT + first
    wait_for_bars(page, TEXT + first)


def test_it_writes_what_the_model_writes_and_takes_it_back(page: Page) -> None:
    for name, set_to in (("length", 50), ("seed", 7), ("temperature", 0.5), ("top_k", 5)):
        page.run(f"document.getElementById('{name}').value = {set_to}")
    page.run("document.getElementById('write').click()")
    page.wait_for("!document.getElementById('back').disabled")
    assert value(page) == TEXT + MODEL.generate(TEXT, 50, seed=7, temperature=0.5, top_k=5)
    page.run("document.getElementById('back').click()")
    assert value(page) == TEXT


def test_stop_stops(page: Page) -> None:
    page.run("document.getElementById('text').maxLength = 100000; document.getElementById('length').max = 20000")
    page.run("document.getElementById('length').value = 20000; document.getElementById('repetition').value = 1.05")
    page.run("document.getElementById('write').click()")
    page.wait_for(f"document.getElementById('text').value.length > {len(TEXT)}")
    page.press("Escape")
    page.wait_for("document.getElementById('stop').disabled")
    assert len(TEXT) < len(value(page)) < len(TEXT) + 20000


def test_exchanging_a_character_shows_both_predictions(page: Page) -> None:
    found = exchange(MODEL, TEXT)
    at = int(found.bits.argmax())
    page.run(f"document.querySelectorAll('#strip button')[{at}].click()")
    page.wait_for("document.getElementById('bars').className === 'compared'")
    changed = TEXT[:at] + found.instead[at] + TEXT[at + 1 :]
    likeliest = MODEL.next(changed)[0]
    index = page.run(BARS).index(visible(likeliest[0]))
    assert f"→ {100 * likeliest[1]:.3g}"[:4] in page.run(
        f"document.querySelectorAll('#bars .share')[{index}].textContent"
    )
    page.press("Escape")
    assert page.run("document.getElementById('bars').className") == ""


def test_the_arrow_keys_move_through_the_text(page: Page) -> None:
    page.run("document.querySelectorAll('#strip button')[3].focus()")
    page.press("ArrowRight")
    assert page.run("document.activeElement.dataset.at") == "4"
    assert page.run("document.getElementById('exchanged').textContent").startswith("c 27 back")
    page.run("document.querySelectorAll('#painted span')[4].focus()")
    page.press("ArrowLeft")
    page.wait_for("document.getElementById('expected').textContent.startsWith('␣ cost')")


def test_an_unknown_character_is_named_and_can_be_left_out(page: Page) -> None:
    typed(page, "the zebra")
    page.wait_for("document.getElementById('message').textContent.includes('U+007A')")
    page.run("document.getElementById('remove').click()")
    page.wait_for("document.getElementById('message').textContent === ''")
    assert value(page) == "".join(c for c in "the zebra" if c in MODEL.vocabulary.characters)
    page.problems.clear()  # the browser reports each refused request too


def test_markup_is_shown_as_it_is_and_an_empty_box_is_no_error(page: Page) -> None:
    typed(page, "")
    wait_for_bars(page, "")
    page.wait_for(
        "!document.querySelectorAll('#painted span').length && !document.querySelectorAll('#strip button').length"
    )
    assert page.run("document.getElementById('message').textContent") == ""


def test_a_long_text_is_read_on_from_a_state(page: Page) -> None:
    long = CORPUS * 6
    for text in (long, long + "the ", long[:-300], "T" + long):
        typed(page, text)
        wait_for_bars(page, text)
    assert page.run("kept.text.length") == len(long) + 1 - 200
    changed = page.run("(() => { const t = textNow(); kept.state = 'damaged'; changedText(); return t.length })()")
    assert changed == len(long) + 1
    page.wait_for("document.getElementById('message').textContent.includes('the state is')")
    typed(page, long)
    wait_for_bars(page, long)
    page.problems.clear()


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_nothing_is_wider_than_the_window(page: Page, width: int) -> None:
    page.look(width, 800)
    assert page.run("document.documentElement.scrollWidth") <= width


def test_it_opens_with_a_text_of_its_own(tab: Page, server: Running) -> None:
    tab.open("about:blank")
    tab.problems.clear()
    tab.open(f"{server.address}/")
    tab.wait_for("document.querySelectorAll('#painted span').length > 100")
    assert value(tab) == "The " + MODEL.generate("The ", 400, temperature=0.8, seed=1)
    assert tab.problems == []

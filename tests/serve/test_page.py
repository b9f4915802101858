"""The page in a real browser: it draws what the model says, and does what a person asks of it."""

import json
from collections.abc import Iterator
from importlib.resources import files
from urllib.parse import quote

import pytest

from serve import browser
from serve.browser import Page
from serve.conftest import MODEL, PASSWORD
from serve.running import Running, running
from tiny import TEXT as CORPUS
from tiny import tiny_parts
from unrolled.embedding import visible
from unrolled.model.attribution import exchange
from unrolled.model.char_model import CharModel
from unrolled.model.sampling import Sampling

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


def test_signs_are_those_of_the_command_line(page: Page) -> None:
    special = " \n\t\r\0\ufdd0\ufdd1"
    assert page.run(f"[...{json.dumps(special)}].map(visible)") == [visible(character) for character in special]


def typed(page: Page, text: str) -> None:
    page.run(f"document.getElementById('text').value = {json.dumps(text)}")
    page.run("document.getElementById('text').dispatchEvent(new Event('input'))")


def test_it_draws_the_distribution_the_surprise_the_memory_and_the_map(page: Page) -> None:
    assert page.run(BARS) == expected_bars(TEXT)
    widths = page.run("[...document.querySelectorAll('#bars .fill')].map(e => parseFloat(e.style.width))")
    drawn = MODEL.read(TEXT).next(Sampling(temperature=0.8))
    assert widths == pytest.approx([100 * p for _, p in drawn[:12]], rel=1e-3, abs=1e-3)  # of 100 %, not of the largest
    pale = page.run("[...document.querySelectorAll('#bars .model')].map(e => parseFloat(e.style.width))")
    assert pale == pytest.approx([100 * p for _, p in MODEL.next(TEXT)[:12]], rel=1e-3, abs=1e-3)
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


def set_to(page: Page, **settings: object) -> None:
    """Set settings as a person does, and tell the page."""
    for name, given in settings.items():
        page.run(f"document.getElementById('{name}').value = '{given}'")
        page.run(f"document.getElementById('{name}').dispatchEvent(new Event('input', {{bubbles: true}}))")


def written(page: Page) -> str:
    """Press Write, wait for the end, and return what was added."""
    before = value(page)
    page.run("document.getElementById('write').click()")
    page.wait_for(f"document.getElementById('stop').disabled && text.value.length > {len(before)}")
    return value(page).removeprefix(before)


def test_settings_move_the_bars(page: Page) -> None:
    set_to(page, temperature=1.5, top_k=3)
    filters = Sampling(temperature=1.5, top_k=3)
    expected = [100 * p for _, p in MODEL.read(TEXT).next(filters)[:12]]
    page.wait_for(f"Math.abs(parseFloat(document.querySelector('#bars .fill').style.width) - {expected[0]}) < 0.01")
    assert page.run(
        "[...document.querySelectorAll('#bars .fill')].map(e => parseFloat(e.style.width))"
    ) == pytest.approx(expected, abs=1e-3)


def test_one_undo_takes_back_what_was_written_and_then_what_was_typed(page: Page) -> None:
    page.run("text.focus(); text.setSelectionRange(text.value.length, text.value.length)")
    page.send("Input.insertText", text=" sat")
    added = written(page)
    assert len(added) == 400
    page.run("text.focus(); document.execCommand('undo')")
    assert value(page) in (TEXT + " sat", TEXT)
    page.run("document.execCommand('redo')")
    assert value(page) == TEXT + " sat" + added
    page.run("document.querySelector('#bars button').click()")
    page.run("text.focus(); document.execCommand('undo')")
    assert value(page) == TEXT + " sat" + added


def test_take_back_removes_only_what_was_written(page: Page) -> None:
    set_to(page, length=30)
    added = written(page)
    page.run("text.focus(); text.setSelectionRange(text.value.length, text.value.length)")
    page.send("Input.insertText", text=" the mat")
    page.run("text.setSelectionRange(0, 0)")
    page.send("Input.insertText", text="a ")
    assert value(page) == "a " + TEXT + added + " the mat"
    page.run("document.getElementById('back').click()")
    assert value(page) == "a " + TEXT + " the mat"
    assert page.run("document.getElementById('back').disabled")


def test_another_takes_the_next_seed(page: Page) -> None:
    set_to(page, length=30, seed=4)
    assert written(page) == MODEL.generate(TEXT, 30, temperature=0.8, seed=4)
    page.run("document.getElementById('another').click()")
    expected = TEXT + MODEL.generate(TEXT, 30, temperature=0.8, seed=5)
    page.wait_for(f"text.value === {json.dumps(expected)}")
    assert page.run("document.getElementById('seed').value") == "5"


def test_a_hidden_setting_that_is_wrong_opens_and_says_why(page: Page) -> None:
    set_to(page, top_p=7)
    page.run("document.getElementById('write').click()")
    page.wait_for("document.querySelector('details').open")
    assert page.run("document.getElementById('message').textContent").startswith("top p: ")
    assert value(page) == TEXT


def test_panels_of_an_earlier_text_are_dimmed(page: Page) -> None:
    typed(page, "the zebra")
    page.wait_for("document.getElementById('message').textContent.includes('U+007A')")
    for panel in ("next", "memory", "surprise"):
        assert page.run(f"document.querySelector('main > .{panel}').classList.contains('stale')")
    typed(page, "the cat")
    page.wait_for("!document.querySelector('.stale')")
    page.problems.clear()


def test_a_newline_can_be_put_in_and_is_shown_as_its_sign(page: Page) -> None:
    at = TEXT.index("sat")
    page.run(f"document.querySelectorAll('#strip button')[{at}].click()")
    page.run("document.getElementById('other').value = '⏎'")
    page.run("document.getElementById('other').dispatchEvent(new Event('input'))")
    character, p = MODEL.next(TEXT[:at] + "\n" + TEXT[at + 1 :])[0]
    start = f"It would expect {visible(character)} {100 * p:.{0 if p >= 0.0995 else 1}f} %"
    page.wait_for(f"document.getElementById('outcome').textContent.startsWith({json.dumps(start)})")


def test_a_link_restores_text_settings_and_the_chosen_character(page: Page, server: Running) -> None:
    set_to(page, temperature=0.5, seed=9, top_k=4)
    page.run("document.querySelectorAll('#strip button')[8].click()")
    page.wait_for("document.getElementById('outcome').textContent")
    outcome = page.run("document.getElementById('outcome').textContent")
    link = page.run("location.origin + '/' + address()")
    assert page.run("location.href") == link
    page.open("about:blank")
    page.open(link)
    page.wait_for(f"document.getElementById('outcome')?.textContent === {json.dumps(outcome)}")
    assert value(page) == TEXT
    shown = [page.run(f"document.getElementById('{name}').value") for name in ("temperature", "seed", "top_k")]
    assert shown == ["0.5", "9", "4"]
    assert page.run("document.querySelector('#strip .chosen').dataset.at") == "8"


def test_back_and_forward_go_through_the_texts(page: Page) -> None:
    set_to(page, length=20)
    page.run("history.replaceState(null, '', address())")
    added = written(page)
    page.run("history.back()")
    page.wait_for(f"text.value === {json.dumps(TEXT)}")
    page.run("history.forward()")
    page.wait_for(f"text.value === {json.dumps(TEXT + added)}")


def test_no_request_is_aborted_and_one_is_in_flight_at_a_time(page: Page) -> None:
    page.run(
        """window.flying = 0; window.most = 0; window.failures = 0; window.sent = [];
        const original = window.fetch;
        window.fetch = async (...given) => {
          sent.push(given[0]);
          most = Math.max(most, ++flying);
          try {
            const answer = await original(...given);
            return answer;
          } catch (error) {
            failures += 1;
            throw error;
          } finally {
            flying -= 1;
          }
        }; 0"""
    )
    for count in range(1, 21):
        typed(page, TEXT + " the cat"[: 1 + count % 8])
    set_to(page, length=2000)
    added = written(page)
    assert len(added) == 2000
    page.wait_for("!document.querySelector('.stale')")
    assert page.run("most") == 1
    assert page.run("failures") == 0
    assert "/api/generate" in page.run("sent.map(address => new URL(address).pathname)")


def test_what_is_cut_off_on_pasting_is_said(page: Page) -> None:
    page.run(
        """(() => {
          const data = new DataTransfer();
          data.setData('text', 'a'.repeat(9000));
          text.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
        })()"""
    )
    page.wait_for("document.getElementById('cut').textContent.includes('8,000 characters')")
    assert f"{9000 + len(TEXT) - 8000:,} were left out" in page.run("document.getElementById('cut').textContent")


def test_the_focus_stays_where_it_was_after_writing(page: Page) -> None:
    page.run("document.getElementById('write').focus()")
    written(page)
    assert page.run("document.activeElement.id") == "write"


def test_every_row_of_memory_has_a_scale_and_larger_bars_are_taller(page: Page) -> None:
    page.look(400, 800)
    page.wait_for("document.querySelectorAll('#strip .ruled').length > 1")
    rows = page.run("document.querySelectorAll('#strip .ruled').length")
    assert page.run("document.querySelectorAll('#strip .scale').length") == rows
    assert page.run("height(16) > height(4) && height(4) > height(1)")
    page.look(1280, 800)


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
    page.wait_for(f"document.documentElement.scrollWidth <= {width}")  # a busy browser lays the page out later


@pytest.mark.parametrize("width", [1440, 800, 390])
def test_axe_finds_no_violation(page: Page, width: int) -> None:
    source = files(pytest.importorskip("axe_core_python")).joinpath("axe.min.js").read_text("utf-8")
    page.run("[...document.querySelectorAll('#strip button')].at(-3).click()")
    page.wait_for("document.getElementById('outcome').textContent && !document.querySelector('.stale')")
    page.run(f"{source}; 0")
    for colours in ({}, {"dark": True}, {"forced": True}):
        page.look(width, 900, **colours)
        found = page.run("axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes.map((n) => n.failureSummary)]))")
        assert found == [], colours
    page.look(1280, 800)


@pytest.mark.parametrize("part", ["#bars .fill", "#strip .column", "#figures .fill"])
def test_bars_and_map_are_seen_in_forced_colours(page: Page, part: str) -> None:
    page.look(1280, 800, forced=True)
    colour = page.run(f"getComputedStyle(document.querySelector('{part}')).backgroundColor")
    assert colour not in ("rgba(0, 0, 0, 0)", page.run("getComputedStyle(document.body).backgroundColor"))
    filled = page.run("getComputedStyle(document.querySelector('#map text')).fill")
    assert filled == page.run("getComputedStyle(document.body).color")
    page.look(1280, 800)


def test_with_a_password_the_page_works_once_it_is_given(tab: Page, locked: Running) -> None:
    tab.open(f"{locked.address.replace('//', f'//me:{quote(PASSWORD)}@')}/#{quote(TEXT)}")
    wait_for_bars(tab, TEXT)


def test_it_opens_with_a_text_of_its_own(tab: Page, server: Running) -> None:
    tab.open("about:blank")
    tab.problems.clear()
    tab.open(f"{server.address}/")
    tab.wait_for("document.querySelectorAll('#painted span').length > 100")
    assert value(tab) == "The " + MODEL.generate("The ", 400, temperature=0.8, seed=1)
    assert tab.problems == []


SURE = tiny_parts("lstm", hidden=8, seed=9)
SURE.weights["head.weight"][:] *= 15
SURE_MODEL = CharModel(SURE)


@pytest.fixture(scope="module")
def sure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of a network that is sure of its words."""
    folder = tmp_path_factory.mktemp("sure")
    SURE_MODEL.save_pretrained(folder / "run")
    with running(folder / "run", folder / "said.txt") as server:
        yield server


@pytest.fixture
def suggesting(tab: Page, sure: Running) -> Iterator[tuple[Page, str, str]]:
    """The page after the beginning of a word, which it finishes in grey; with the beginning and the end."""
    prompt = "the cat sat on t"
    end = SURE_MODEL.complete(prompt, count=1)[0].text
    tab.open("about:blank")
    tab.problems.clear()
    tab.open(f"{sure.address}/#{quote(CORPUS[:5])}")
    tab.wait_for("document.querySelectorAll('#painted span').length")
    tab.run("document.getElementById('text').focus()")
    typed(tab, prompt)
    tab.wait_for(f"document.querySelector('#ghost i')?.textContent === {json.dumps(end)}")
    yield tab, prompt, end
    assert tab.problems == []


def test_tab_writes_the_grey_suggestion(suggesting: tuple[Page, str, str]) -> None:
    page, prompt, end = suggesting
    page.press("Tab")
    page.wait_for(f"document.getElementById('text').value === {json.dumps(prompt + end)}")
    assert page.run("document.activeElement.id") == "text"


def test_escape_dismisses_the_suggestion_and_tab_moves_on(suggesting: tuple[Page, str, str]) -> None:
    page, prompt, _ = suggesting
    page.press("Escape")
    assert page.run("document.querySelector('#ghost i')?.textContent ?? ''") == ""
    page.press("Tab")
    assert page.run("document.activeElement.id") != "text"
    assert value(page) == prompt

"""Draws docs/images/serve.png: the page of `unrolled serve` in a headless Chromium.

unrolled train python-docs --out runs/docs --minutes 4
python docs/images/make_serve.py runs/docs
"""

import contextlib
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from serve.browser import browser  # noqa: E402
from serve.running import running  # noqa: E402

TEXT = """Each call of the method "__next__()" goes on where the last one
stopped.  If the optional argument *default* is given, it is returned
at the end; without it, the exception "StopIteration" is raised.

If the object has no such attribute, this method returns "NotImplemented"""


def main() -> None:
    """The text in the box, and the quotation mark at its end exchanged."""
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        server = opened.enter_context(running(Path(sys.argv[1]), folder / "said"))
        page = opened.enter_context(browser(folder / "profile"))
        page.look(1240, 900)
        page.open(f"{server.address}/#{quote(TEXT)}")
        page.wait_for("document.querySelector('#painted span') && document.querySelector('#strip button')")
        page.wait_for("document.querySelector('#map g[data-character]')")
        page.run("[...document.querySelectorAll('#map g')].find(g => g.dataset.character === 'e').focus()")
        page.run(f"[...document.querySelectorAll('#painted span')][{TEXT.index('Stop')}].focus()")
        page.run("[...document.querySelectorAll('#strip button')].at(-15).click()")
        page.run("document.activeElement.blur()")
        page.wait_for("document.getElementById('outcome').textContent")
        page.wait_for("document.getElementById('expected').textContent.includes('cost')")
        page.picture(ROOT / "docs" / "images" / "serve.png")


main()

"""Make log.svg of the README again: python docs/images/make_log.py (half a minute).

A network learns 1,500 lines of an invented web log and paints the four most surprising of 200 others, two of which are
odd on purpose.
"""

import io
from heapq import nlargest
from pathlib import Path

import numpy as np
from make import LIGHT, _write_svg
from rich.console import Console

import unrolled
from unrolled.cli.showing import painted
from unrolled.text.variables import Kinds

AGENTS = ("Firefox/117.0", "Chrome/116.0", "curl/7.88.1")
PATHS = ("/", "/index.html", "/img/logo.png", "/api/v1/items", "/login", "/static/app.js")
SHOWN = 4


def web_log(lines: int, seed: int) -> list[str]:
    """So many requests of 60 clients."""
    random = np.random.default_rng(seed)
    clients = [(".".join(map(str, random.integers(1, 255, 4))), random.choice(AGENTS)) for _ in range(60)]
    result = []
    for second in np.cumsum(random.integers(0, 5, lines)).tolist():
        address, agent = clients[int(random.integers(60))]
        result.append(
            f"{address} - - [12/Oct/2025:{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}] "
            f'"GET {random.choice(PATHS)} HTTP/1.1" {random.choice([200, 200, 304, 404])} {random.integers(100, 9999)} '
            f'"{agent}"'
        )
    return result


def main() -> None:
    """Train, score, paint."""
    today = web_log(200, 6)
    today[50] = today[50].replace("GET /", "GET /../../etc/passwd?", 1)
    today[120] = today[120].replace("GET", "PROPFIND")
    text = "\n".join(web_log(1500, 5))
    model = unrolled.train(text=text, records="lines", mask=True, hidden=64, epochs=3, notify=lambda notice: None).model
    recorder = Console(record=True, width=116, file=io.StringIO(), highlight=False)
    for one in nlargest(SHOWN, model.score_lines(today, kinds=Kinds()), key=lambda one: one.bits):
        recorder.print(painted(one.line, one.nats[: len(one.line)]), soft_wrap=True)
    recorder.print()  # room below the last line, which would be cut
    _write_svg(
        recorder, Path(__file__).parent / "log.svg", f"the {SHOWN} most surprising of {len(today)} lines", theme=LIGHT
    )


if __name__ == "__main__":
    main()

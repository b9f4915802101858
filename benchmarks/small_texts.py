"""Texts of 100 to 500 kB, one minute each: the network alone, counts, both, and compressors that were given the rest.

Of the last tenth of each text, what there is time to measure is predicted; compressors are charged for what it adds to
the nine tenths before it. Static: nothing learns from the judged part, but for the compressors, which adapt by their
nature. Left out: zpaq, which is not in Python; it needs about 6 % less than PPMd on tiny Shakespeare.

    python -m benchmarks.small_texts [--minutes 1 | --characters 900000] [--texts nietzsche:200 python-docs:100 ...]
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

from benchmarks.texts import data, text
from unrolled import train
from unrolled.learn.recipe import RecipeSettings
from unrolled.text.corpus import open_corpus

TEXTS = [f"{name}:{size}" for name in ("nietzsche", "tinyshakespeare", "python-docs") for size in (100, 200, 500)]
TEXTS += ["hongloumeng_zh.txt:100", "logs/BGL_2k.log:100", "logs/BGL_2k.log:300"]


def measured(spec: str, minutes: float, characters: int | None) -> dict[str, Any]:
    """All figures of one text, in nats per character, after so many minutes or so many characters read."""
    name, size = spec.split(":")
    source = data(name) if "." in name else text(name)
    content = open_corpus([source]).read()[: 1000 * int(size)]
    budget: RecipeSettings = {"minutes": minutes} if characters is None else {"epochs": characters / len(content) / 0.9}
    summary = train(text=content, **budget).summary
    others = {entry.name: entry.primed_bits * math.log(2) for entry in summary.baselines}
    mixed = summary.members.get("together", summary.members["network"])
    row = {"text": spec, "epochs": summary.epochs} | others | summary.members
    return row | {"better_than_network": summary.members["network"] - mixed, "better_than_ppmd": others["PPMd"] - mixed}


def main(minutes: float = 1.0, characters: int | None = None, texts: list[str] = TEXTS) -> dict[str, Any]:
    """One line for each text."""
    rows = []
    for spec in texts:
        rows.append(measured(spec, minutes, characters))
        print(
            json.dumps({key: value if key == "text" else round(value, 3) for key, value in rows[-1].items()}),
            flush=True,
        )
    reached = [row["better_than_network"] >= 0.08 and row["better_than_ppmd"] > 0 for row in rows]
    return {"benchmark": "small texts", "minutes": minutes, "rows": rows, "reached": reached}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--characters", type=int, help="fixed work instead of minutes, where a machine is busy")
    parser.add_argument("--texts", nargs="+", default=TEXTS)
    print(json.dumps(main(**vars(parser.parse_args()))))

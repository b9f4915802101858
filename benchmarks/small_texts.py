"""Texts of 100 to 500 kB, one minute each: the network alone, counts, both, and compressors that have read the rest.

The last tenth of each text is predicted; compressors are charged for what it adds to the nine tenths before it. Static:
nothing learns from the judged part, but for the compressors, which adapt by their nature. Left out: zpaq, which is not
in Python; it needs about 6 % less than PPMd on tiny Shakespeare.

    python -m benchmarks.small_texts [--minutes 1] [--texts nietzsche:200 python-docs:100 ...]
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

import pyppmd

from benchmarks.texts import data, text
from unrolled import train
from unrolled.text.corpus import open_corpus

TEXTS = [f"{name}:{size}" for name in ("nietzsche", "tinyshakespeare", "python-docs") for size in (100, 200, 500)]
TEXTS += ["hongloumeng_zh.txt:100", "logs/BGL_2k.log:100", "logs/BGL_2k.log:300"]
ORDERS, MEMORY = (6, 16), 256 << 20
"""Of PPMd; the better order counts: 6 on prose, 16 where a text repeats itself."""


def ppmd_bits(before: str, judged: str) -> float:
    """Bits per character of `judged` after PPMd (variant H) has read `before`."""
    return min(_size(before + judged, order) - _size(before, order) for order in ORDERS) * 8 / len(judged)


def _size(content: str, order: int) -> int:
    encoder = pyppmd.Ppmd7Encoder(order, MEMORY)
    return len(encoder.encode(content.encode())) + len(encoder.flush())


def measured(spec: str, minutes: float) -> dict[str, Any]:
    """All figures of one text, in nats per character."""
    name, size = spec.split(":")
    source = data(name) if "." in name else text(name)
    content = open_corpus([source]).read()[: 1000 * int(size)]
    summary = train(text=content, minutes=minutes).summary
    judged = content[-summary.validation_characters :]
    others = {entry.name: entry.primed_bits * math.log(2) for entry in summary.baselines}
    others["PPMd"] = ppmd_bits(content[: -len(judged)], judged) * math.log(2)
    mixed = summary.members.get("together", summary.members["network"])
    row = {"text": spec, "epochs": summary.epochs} | summary.members | others
    return row | {"better_than_network": summary.members["network"] - mixed, "better_than_ppmd": others["PPMd"] - mixed}


def main(minutes: float = 1.0, texts: list[str] = TEXTS) -> dict[str, Any]:
    """One line for each text."""
    rows = []
    for spec in texts:
        rows.append(measured(spec, minutes))
        print(
            json.dumps({key: value if key == "text" else round(value, 3) for key, value in rows[-1].items()}),
            flush=True,
        )
    reached = [row["better_than_network"] >= 0.08 and row["better_than_ppmd"] > 0 for row in rows]
    return {"benchmark": "small texts", "minutes": minutes, "rows": rows, "reached": reached}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--texts", nargs="+", default=TEXTS)
    print(json.dumps(main(**vars(parser.parse_args()))))

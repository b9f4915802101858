"""What a large text costs in memory: the peaks of `unrolled train` and `unrolled score` on 1 GB against 10 MB.

Texts are made here, the reference manual of Python with its lines shuffled. Each command runs in a process of its own,
with an empty cache, and its peak of resident memory is what the system says (VmHWM, Linux). A small network trains a
fixed number of steps; what it scores must not depend on the size of the text. Scoring 1 GB takes twenty to thirty
minutes of a core, eight of them xz, so a part of it stands in for it if not asked otherwise.

    python -m benchmarks.memory [--large MEGABYTES] [--scored MEGABYTES]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.encode import MEGABYTE, write_text
from unrolled.text.cache import CACHE_VARIABLE

SMALL = 10
GROWTH_MB = 300
STEPS = 400
BATCH = {"streams": 16, "length": 64}
SETTINGS = ["--hidden", "32", "--validation", "0.01", "--precision", "float32", "--threads", "1", "--evaluations", "4"]
PROCESS = """
import re, sys
from pathlib import Path
from unrolled.cli import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def measured(cache: Path, *arguments: object) -> tuple[dict[str, Any], dict[str, float]]:
    """The JSON object that a command printed, and its peak in megabytes with the seconds it took."""
    start = time.perf_counter()
    command = [sys.executable, "-c", PROCESS, *map(str, arguments), "--json"]
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {CACHE_VARIABLE: folder},
        )  # fmt: skip
    printed, peak = done.stdout.splitlines()
    return json.loads(printed), {
        "peak_mb": round(int(peak) * 1024 / MEGABYTE),
        "seconds": round(time.perf_counter() - start),
    }


def trained(text: Path, run: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """A training of `STEPS` steps on `text`."""
    characters = 0.99 * text.stat().st_size
    epochs = STEPS * BATCH["streams"] * BATCH["length"] / characters
    sizes = [f"--{name}={value}" for name, value in BATCH.items()]
    return measured(text.parent, "train", text, "--out", run, "--epochs", f"{epochs:.9f}", *sizes, *SETTINGS)


def on_size(folder: Path, megabytes: float, model: Path | None) -> dict[str, Any]:
    """Both commands on a text of so many megabytes, or, with `model`, scoring alone."""
    text, found = write_text(folder / f"{megabytes:g}.txt", megabytes), {}
    if model is None:
        summary, found["train"] = trained(text, folder / f"run-{megabytes:g}")
        assert summary["characters"] >= 0.99 * megabytes * MEGABYTE, "not the whole text was encoded"
        assert summary["characters_seen"] <= 1.1 * STEPS * BATCH["streams"] * BATCH["length"], "more steps than asked"
        found["train"]["validation_bits"] = round(summary["validation"]["bits"], 3)
    else:
        score, found["score"] = measured(folder, "score", model, text)
        found["score"]["bits"] = round(score["bits"], 3)
    text.unlink()
    return found


def main(large: float = 1000, scored: float = 400) -> dict[str, Any]:
    """All figures; an AssertionError where memory is out of its bounds or a result is wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {f"{size:g}": on_size(folder, size, None) for size in (SMALL, large)}
        model = folder / f"run-{SMALL:g}"
        for size in (SMALL, scored):
            found.setdefault(f"{size:g}", {}).update(on_size(folder, size, model))
    growth = {
        command: found[f"{size:g}"][command]["peak_mb"] - found[f"{SMALL:g}"][command]["peak_mb"]
        for command, size in (("train", large), ("score", scored))
    }
    few, many = (found[f"{size:g}"]["score"]["bits"] for size in (SMALL, scored))
    assert abs(few - many) < 0.02 * few, f"{few} bits on the small text, but {many} on the large one"
    assert max(growth.values()) <= GROWTH_MB, f"memory grows by {growth} MB, over {GROWTH_MB}"
    return {"megabytes": found, "growth_mb": growth, "asked": GROWTH_MB}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", type=float, default=1000, help="megabytes of the text that is trained on")
    parser.add_argument("--scored", type=float, default=400, help="megabytes of the text that is scored")
    print(json.dumps(main(**vars(parser.parse_args())), indent=2))

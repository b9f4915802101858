"""What a second process brings: steps and characters a second with one process and with two, on one machine.

Each way is a run of its own of a fixed number of steps on generated text, started as a person would: one process with
one thread or all, and torchrun with as many processes as there are cores to give them one thread each. Once the global
batch is the same (the work of a step is divided), once each process brings a whole batch. That equal batches learn
equally is asserted.

    python -m benchmarks.scaling [--processes N] [--steps N]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.encode import write_text

SETTINGS = {
    "rung": "lstm", "hidden": 320, "embedding": 64, "length": 64, "optimizer": "muon", "dropout": 0.0, "evaluations": 1,
    "validation": 0.01, "device": "cpu",
}  # fmt: skip
STREAMS = 16
MEGABYTES = 2.0
SAME_NATS = 2e-3
"""By which the validation losses of equal global batches may differ in float32, after some hundred steps."""


def run(text: Path, out: Path, steps: int, *, processes: int, threads: int, streams: int, precision: str) -> Any:
    """The summary of a run of `steps` steps."""
    epochs = steps * streams * SETTINGS["length"] / (0.99 * text.stat().st_size)
    settings = SETTINGS | {"streams": streams, "threads": threads, "precision": precision, "epochs": f"{epochs:.6f}"}
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", f"{processes}"]
    command = [*launcher, "-m", "unrolled", "train", str(text), "--out", str(out), "--json"]
    command += [f"--{name}={value}" for name, value in settings.items()]
    environment = os.environ | {"OMP_NUM_THREADS": f"{threads}"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    return json.loads(done.stdout)


def main(processes: int = 2, steps: int = 150) -> dict[str, Any]:
    """All figures; an AssertionError where two processes learn otherwise than one."""
    ways = {
        "one process, one thread": {"processes": 1, "threads": 1, "streams": STREAMS},
        f"one process, {processes} threads": {"processes": 1, "threads": processes, "streams": STREAMS},
        f"{processes} processes, the same global batch": {"processes": processes, "threads": 1, "streams": STREAMS},
        f"{processes} processes, a batch each": {"processes": processes, "threads": 1, "streams": STREAMS * processes},
    }
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = write_text(folder / "text.txt", MEGABYTES)
        for precision in ("float32", "bfloat16"):
            for i, (way, settings) in enumerate(ways.items()):
                summary = run(text, folder / f"{precision}-{i}", steps, precision=precision, **settings)
                rate = summary["characters_seen"] / summary["seconds"]
                found[f"{precision}, {way}"] = {
                    "characters_per_second": round(rate),
                    "steps_per_second": round(rate / settings["streams"] / SETTINGS["length"], 2),
                    "validation_nats": round(summary["validation"]["nats"], 4),
                }
    one, _, same, _ = (found[f"float32, {way}"]["validation_nats"] for way in ways)
    assert abs(one - same) < SAME_NATS, f"one process came to {one} nats, {processes} to {same}"
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=150)
    print(json.dumps(main(**vars(parser.parse_args())), indent=2))

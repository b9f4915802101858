"""What a second process brings: steps and characters a second with one process and with two, on one machine.

Each way is a run of its own of a fixed number of steps on generated text, started as a person would: one process with
one thread or all, and torchrun with as many processes as there are cores to give them one thread each. Once the global
batch is the same (the work of a step is divided), once each process brings a whole batch. Beside the speed stands the
processor time of a step, over all processes and without their start, which other work on the machine hardly changes.
That equal batches learn equally is asserted.

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

SETTINGS: dict[str, Any] = {
    "rung": "lstm", "hidden": 320, "embedding": 64, "length": 64, "optimizer": "muon", "dropout": 0.0, "evaluations": 1,
    "validation": 0.002, "device": "cpu",
}  # fmt: skip
STREAMS = 16
MEGABYTES = 2.0
SHORT = 20
"""Steps of the run that is taken off."""
SAME_NATS = 2e-3
"""By which the validation losses of equal global batches may differ in float32, after some hundred steps."""


def run(
    text: Path, out: Path, steps: int, *, processes: int, threads: int, streams: int, precision: str
) -> tuple[dict[str, Any], float]:
    """The summary of a run of `steps` steps, and the processor seconds of all it took."""
    epochs = steps * streams * SETTINGS["length"] / (0.998 * text.stat().st_size)
    settings = SETTINGS | {"streams": streams, "threads": threads, "precision": precision, "epochs": f"{epochs:.6f}"}
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", f"{processes}"]
    command = [*launcher, "-m", "unrolled", "train", str(text), "--out", str(out), "--json"]
    command += [f"--{name}={value}" for name, value in settings.items()]
    environment = os.environ | {"OMP_NUM_THREADS": f"{threads}"}
    before = os.times()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    after = os.times()
    return json.loads(done.stdout), sum(after[2:4]) - sum(before[2:4])


def measured(text: Path, out: Path, steps: int, **settings: Any) -> dict[str, float]:
    """The figures of one way: a short run is taken off a longer one, and with it the start of the processes."""
    _, start = run(text, out.with_suffix(".short"), SHORT, **settings)
    summary, seconds = run(text, out, SHORT + steps, **settings)
    rate, batch = summary["characters_seen"] / summary["seconds"], settings["streams"] * SETTINGS["length"]
    return {
        "characters_per_second": round(rate),
        "processor_ms_per_step": round(1000 * (seconds - start) / steps, 1),
        "processor_ms_per_thousand_characters": round(1e6 * (seconds - start) / steps / batch, 1),
        "validation_nats": round(summary["validation"]["nats"], 4),
    }


def main(processes: int = 2, steps: int = 130) -> dict[str, Any]:
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
                out = folder / f"{precision}-{i}"
                found[f"{precision}, {way}"] = measured(text, out, steps, precision=precision, **settings)
    one, _, same, _ = (found[f"float32, {way}"]["validation_nats"] for way in ways)
    assert abs(one - same) < SAME_NATS, f"one process came to {one} nats, {processes} to {same}"
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=130)
    print(json.dumps(main(**vars(parser.parse_args())), indent=2))

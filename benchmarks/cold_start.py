"""`import unrolled`, `unrolled --help` and `unrolled next` from a cold start: whole processes.

Beside it what no program in Python with NumPy can save: the start of Python, and of Python with NumPy. The processes
take turns; of each the median of its seconds is given, and the least processor time, which tells how much of the former
was waiting for other programs. The model is what `train` writes by default, a network beside counts of its text. That
no PyTorch is in the process is asserted. The files are in the cache of the system, and modules are compiled, as after
an installation: "cold" is the process.

    python benchmarks/cold_start.py [--turns N]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig, ModelParts
from unrolled.model.gate import Gate
from unrolled.model.members import Members
from unrolled.text.counts.model import CountModel
from unrolled.text.datasets import python_docs
from unrolled.text.vocabulary import Vocabulary

REACH = {"import unrolled": 0.03, "unrolled --help": 0.2, "unrolled next": 0.3}
"""Processor seconds."""
HIDDEN, EMBEDDING = 512, 64
"""The sizes of the default network: its 5 MB are read, verified and multiplied."""
PROMPT = "part of "


def write_model(folder: Path) -> None:
    """A model folder of the default size, with the counts of a text of half a megabyte."""
    text = python_docs()
    vocabulary = Vocabulary.of(text)
    counts = CountModel.count(vocabulary.encode(text), len(vocabulary), letters=vocabulary.letters)
    config = ModelConfig("lstm", len(vocabulary), EMBEDDING, HIDDEN, 1)
    random = np.random.default_rng(0)
    weights = {
        name: random.normal(size=shape, scale=0.05).astype(np.float32) for name, shape in config.shapes().items()
    }
    beside = Members(counts=counts, gate=Gate.between(counts.depth))
    CharModel(ModelParts(config, vocabulary, weights, {}, beside)).save_pretrained(folder)


def commands(folder: Path) -> dict[str, list[str]]:
    """What is timed, by name."""
    return {
        "python": [sys.executable, "-c", "pass"],
        "python with numpy": [sys.executable, "-c", "import numpy"],
        "import unrolled": [sys.executable, "-c", "import unrolled"],
        "unrolled --help": [sys.executable, "-m", "unrolled", "--help"],
        "unrolled next": [sys.executable, "-m", "unrolled", "next", str(folder), PROMPT],
    }


def with_compiled_modules(folder: Path) -> dict[str, str]:
    """The environment of a process that keeps its compiled modules in `folder`."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
        "PYTHONPYCACHEPREFIX": str(folder)
    }


def check(folder: Path, environment: dict[str, str]) -> None:
    """Assert that the process prints what the library computes, and that PyTorch is not in it."""
    code = (
        "import sys; from unrolled.cli import main; "
        f"main(['next', {str(folder)!r}, {PROMPT!r}, '--json']); assert 'torch' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    printed = [(row["character"], row["probability"]) for row in json.loads(result.stdout)["next"]]
    expected = CharModel.from_pretrained(folder).next(PROMPT)
    assert np.allclose([p for _, p in sorted(printed)], [p for _, p in sorted(expected)], atol=1e-6)


def in_turns(named: dict[str, list[str]], turns: int, environment: dict[str, str]) -> dict[str, dict[str, float]]:
    """Of each command the median seconds from start to exit, and the least seconds of processor time."""
    seconds: dict[str, list[float]] = {name: [] for name in named}
    processor: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(turns):
        for name, command in named.items():
            before, start = processor_seconds(), time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
            seconds[name].append(time.perf_counter() - start)
            processor[name].append(processor_seconds() - before)
    return {n: {"seconds": statistics.median(seconds[n]), "processor_seconds": min(processor[n])} for n in named}


def processor_seconds() -> float:
    """Of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(turns: int = 15) -> dict[str, Any]:
    """Run the benchmark, print it, return its figures."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        write_model(folder)
        environment = with_compiled_modules(Path(temporary) / "compiled")
        check(folder, environment)
        in_turns(commands(folder), 1, environment)  # compiles what each needs
        times = in_turns(commands(folder), turns, environment)
    for name, row in times.items():
        print(
            f"{name:<20}{row['seconds']:6.3f} s, of which at least {row['processor_seconds']:.3f} s of processor time"
        )
    whole, floor = times["unrolled next"]["seconds"], times["python with numpy"]["seconds"]
    missed = [name for name, seconds in REACH.items() if times[name]["processor_seconds"] > seconds]
    print(f"unrolled next takes {whole / floor:.2f} times what python with numpy takes")
    wanted = ", ".join(f"{name} {seconds:g}" for name, seconds in REACH.items())
    print(f"reach in processor seconds: {wanted}, no torch: {f'missed by {missed}' if missed else 'reached'}")
    return {"benchmark": "cold_start", "times": times, "ratio": whole / floor, "reach": REACH, "reached": not missed}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=15)
    print(json.dumps(main(**vars(parser.parse_args()))))

"""`make bench`: every benchmark, one after the other, each in a process of its own, so that none warms up another."""

from __future__ import annotations

import platform
import subprocess
import sys

import torch

BENCHMARKS = {
    "cold_start": [],
    "generation": [],
    "lines": [],
    "rnn_rung": [],
    "encode": [],
    "memory": [],
    "scaling": [],
    "shakespeare": ["race"],
    "shakespeare best": ["best"],
    "transformer": [],
    "nietzsche": [],
    "small_texts": [],
    "rossmann": [],
    "adult": [],
    "tables": [],
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; returns the number that failed."""
    print(f"{platform.platform()}, {torch.get_num_threads()} threads, torch {torch.__version__}", flush=True)
    failed = 0
    for name in names or BENCHMARKS:
        print(f"\n== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name.split()[0]}", *BENCHMARKS[name]]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What encoding costs: time against reading and decoding the same text, and memory on a small and on a large text.

Texts are made here: the reference manual of Python with its lines shuffled, and the same in Chinese characters. Time is
that of this process (user and system), the best of some turns of both sides, on 100 MB. Memory is the peak of a process
that encodes a text and examines it, ids mapped from a file, on 10 MB and on 1 GB. Ids are decoded again and compared.

    python benchmarks/encode.py [--megabytes N] [--large N]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from unrolled.text.corpus import open_corpus
from unrolled.text.datasets import python_docs
from unrolled.text.encoded import EncodedText, encode_corpus

TURNS = 3
MEGABYTE = 10**6
MEMORY_GROWTH_MB = 300  # what 1 GB may need above 10 MB
IN_MEMORY_RATIO = 4.0  # memory above that of a tiny text, over the size of the file, ids in memory
PROCESS = """
import re, sys
from pathlib import Path
from unrolled.text.corpus import open_corpus
from unrolled.text.report.doctor import examine
from unrolled.text.encoded import encode_corpus

encoded = encode_corpus(open_corpus([sys.argv[1]]), cache=Path(sys.argv[2]), in_memory_bytes=int(sys.argv[3]))
examine(encoded)
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def write_text(path: Path, megabytes: float, chinese: bool = False) -> Path:
    """About so many megabytes of UTF-8: the lines of the manual in another order each time round."""
    text = python_docs()
    if chinese:  # each character to one of 3,000 Chinese ones, by itself and its neighbour
        text = "".join(chr(0x4E00 + (37 * ord(a) + ord(b)) % 3000) for a, b in pairwise(text))
    lines = [text[start : start + 60] + "\n" for start in range(0, len(text), 60)] if chinese else text.splitlines(True)
    order, left = random.Random(1), megabytes * MEGABYTE
    with open(path, "wb") as file:
        while left > 0:
            order.shuffle(lines)
            left -= file.write("".join(lines).encode())
    return path


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def read(path: Path) -> int:
    """Read and decode the text as Python does by itself, a megabyte at a time."""
    with open(path, encoding="utf-8") as file:
        return sum(len(piece) for piece in iter(lambda: file.read(1 << 20), ""))


def timing(path: Path) -> dict[str, float]:
    """Seconds of encoding `path`, of reading it whole and of reading it a megabyte at a time, and the ratios."""
    ways = (lambda: encode(path), lambda: path.read_text(encoding="utf-8"), lambda: read(path))
    turns = [[seconds(way) for way in ways] for _ in range(TURNS)]
    encoding, whole, pieces = (min(side) for side in zip(*turns, strict=True))
    return {
        "encode": round(encoding, 3),
        "read_whole": round(whole, 3),
        "read_in_pieces": round(pieces, 3),
        "times_reading_whole": round(encoding / whole, 1),
        "times_reading_in_pieces": round(encoding / pieces, 1),
    }


def encode(path: Path) -> EncodedText:
    """Encode in memory."""
    return encode_corpus(open_corpus([path]), in_memory_bytes=1 << 40)


def is_right(path: Path) -> bool:
    """Whether the ids of `path` give back its text."""
    encoded, digest = encode(path), hashlib.sha256()
    for start in range(0, len(encoded), 1 << 20):
        digest.update(encoded.vocabulary.decode(encoded.ids[start : start + (1 << 20)]).encode())
    with open(path, "rb") as file:
        return digest.hexdigest() == encoded.sha256 == hashlib.file_digest(file, "sha256").hexdigest()


def peak_megabytes(path: Path, cache: Path, in_memory_bytes: int = 0) -> float:
    """Peak memory of a fresh process that encodes and examines `path`."""
    command = [sys.executable, "-c", PROCESS, f"{path}", f"{cache}", f"{in_memory_bytes}"]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout) * 1024 / MEGABYTE


def main(megabytes: float = 100, large: float = 1000) -> dict[str, Any]:
    """All figures; an AssertionError where the ids are wrong or memory is out of its bounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = {
            "english": write_text(folder / "english.txt", megabytes),
            "chinese": write_text(folder / "chinese.txt", megabytes, chinese=True),
        }
        for path in texts.values():
            assert is_right(path), f"the ids of {path.name} do not give back its text"
        times = {name: timing(path) for name, path in texts.items()}
        least = peak_megabytes(write_text(folder / "text.txt", 1), folder / "cache", 1 << 40)
        in_memory = (peak_megabytes(texts["english"], folder / "cache", 1 << 40) - least) / megabytes
        for path in texts.values():
            path.unlink()
        small, big = (peak_megabytes(write_text(folder / "text.txt", size), folder / "cache") for size in (10, large))
    assert in_memory <= IN_MEMORY_RATIO, f"memory is {in_memory:.1f} times the file, over {IN_MEMORY_RATIO}"
    assert big - small <= MEMORY_GROWTH_MB, f"memory grows by {big - small:.0f} MB, over {MEMORY_GROWTH_MB}"
    return {
        "megabytes": megabytes,
        "times": times,
        "in_memory_over_file": round(in_memory, 2),
        "mapped_peak_mb": {"10": round(small), f"{large:g}": round(big), "growth": round(big - small)},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=100, help="size of the texts that are timed")
    parser.add_argument("--large", type=float, default=1000, help="megabytes of the large text")
    print(json.dumps(main(**vars(parser.parse_args())), indent=2))

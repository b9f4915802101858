"""Where benchmarks find real texts and tables: UNROLLED_DATA, `shared/data` beside the checkout, or the named set."""

from __future__ import annotations

import os
from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def data(name: str) -> Path:
    """The path of a file of real data. Raises FileNotFoundError, saying where it was looked for."""
    path = Path(os.environ.get("UNROLLED_DATA", _BESIDE)) / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: set UNROLLED_DATA to the folder of the data")
    return path


def text(name: str) -> str:
    """The path of `<name>.txt` where it lies on the disk; else the name, which the library fetches."""
    path = Path(os.environ.get("UNROLLED_DATA", _BESIDE)) / f"{name}.txt"
    return str(path) if path.exists() else name

"""Where benchmarks find real texts and tables: UNROLLED_DATA, `shared/data` beside the checkout, or the named set."""

from __future__ import annotations

import os
from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def text(name: str) -> str:
    """The path of `<name>.txt` where it lies on the disk; else the name, which the library fetches."""
    path = Path(os.environ.get("UNROLLED_DATA", _BESIDE)) / f"{name}.txt"
    return str(path) if path.exists() else name

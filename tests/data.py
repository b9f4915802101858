"""Where tests find real texts and tables: a folder named by UNROLLED_DATA, or `shared/data` beside the checkout."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_data(name: str) -> Path:
    """The path of a data file; skips the test, with the reason, where it is missing."""
    path = Path(os.environ.get("UNROLLED_DATA", _BESIDE)) / name
    if not path.exists():
        pytest.skip(f"the real data {name} is not here (set UNROLLED_DATA to the folder that holds it)")
    return path

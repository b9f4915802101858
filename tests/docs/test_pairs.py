"""The files of minimal pairs: every line can be asked, and stands under the distance it has."""

import re
from pathlib import Path

import pytest

from unrolled.look.agreement.pairs import read_pairs

FILES = sorted((Path(__file__).parents[2] / "docs" / "pairs").glob("*.txt"))
RANGES = {"right behind": (1, 3), "4 to 7": (4, 7), "8 to 15": (8, 15), "16 to 31": (16, 31), "32 to 63": (32, 63)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_pairs_stand_under_their_distance(file):
    first, *groups = re.split(r"\n\n# ", file.read_text("utf-8"))
    assert f"docs/pairs/{file.name}" in first
    assert len(groups) >= 3
    for group in groups:
        title, *lines = group.strip("\n").split("\n")
        near, far = RANGES[title.removesuffix(" characters")]
        pairs = read_pairs(lines)
        assert len(lines) == len(set(lines)) >= 10
        assert len(pairs) == 2 * len(lines)
        assert all(near <= pair.distance <= far for pair in pairs), group


def test_there_are_files():
    assert {"gender", "number", "thou", "quotes", "brackets"} <= {file.stem for file in FILES}

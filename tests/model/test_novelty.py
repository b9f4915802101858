"""Runs copied from a training text, against plain search."""

import numpy as np
import pytest

from tiny import tiny_parts
from unrolled.errors import FolderError
from unrolled.files import write_folder
from unrolled.model.novelty import LONG_RUN, WINDOW, WINDOWS, copied_runs, windows_file

RANDOM = np.random.default_rng(3)
TRAINING = RANDOM.integers(1, 90, 40_000).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("copies") / "run"
    write_folder(path, tiny_parts().to_files() | {WINDOWS: windows_file(TRAINING)})
    return path


def written(*lengths):
    """Random characters with runs of these lengths from the training text between them."""
    random, parts = np.random.default_rng(sum(lengths)), [np.full(40, 95)]
    for length in lengths:
        start = int(random.integers(len(TRAINING) - length))
        parts += [TRAINING[start : start + length], random.integers(95, 120, 40)]
    return np.concatenate(parts)


@pytest.mark.parametrize("lengths", [(), (15,), (23,), (40, 30), (60, 23, 200)])
def test_the_longest_run_and_the_share_of_long_ones(folder, lengths):
    text = written(*lengths)
    found = copied_runs(folder, text)
    longest, long = max(lengths, default=0), sum(length for length in lengths if length >= LONG_RUN)
    if longest < WINDOW:
        assert found.longest < WINDOW + 6  # chance: a window in five
    else:
        assert longest <= found.longest <= longest + 6
    assert long / len(text) <= found.share <= (long + 12) / len(text)
    assert ("no run of 20" in found.sentence) == (found.longest < 20)


def test_nothing_is_missed_and_little_is_kept(folder):
    assert copied_runs(folder, TRAINING[123:20_000]) == (20_000 - 123, 1.0)
    assert copied_runs(folder, TRAINING[:5]) == (0, 0.0)
    assert (folder / WINDOWS).stat().st_size < len(TRAINING)


def test_folders_without_windows_and_with_damaged_ones(tmp_path):
    write_folder(tmp_path / "a", tiny_parts().to_files())
    assert copied_runs(tmp_path / "a", TRAINING) is None
    write_folder(tmp_path / "b", tiny_parts().to_files() | {WINDOWS: b"no tensors"})
    with pytest.raises(FolderError, match="is not a valid safetensors file"):
        copied_runs(tmp_path / "b", TRAINING)

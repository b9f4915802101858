"""Windows, streams and splits: the lesson's numbers, an oracle of plain slices, and no copies."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import shared_data
from unrolled.errors import InputError
from unrolled.text.vocabulary import Ids, Vocabulary
from unrolled.text.windows import (
    EIGHT_TO_EIGHT,
    EIGHT_TO_ONE,
    THREE_TO_ONE,
    Windowing,
    hold_out,
    split,
    streams,
    windows,
)


def text_of(length: int) -> Ids:
    return np.arange(length, dtype=np.uint16)


@pytest.mark.parametrize(
    ("windowing", "inputs", "targets"),
    [
        (THREE_TO_ONE, (200_295, 3), (200_295, 1)),
        (EIGHT_TO_ONE, (600_884, 8), (600_884, 1)),
        (EIGHT_TO_EIGHT, (75_111, 8), (75_111, 8)),
    ],
)
def test_the_windows_of_the_lesson(windowing: Windowing, inputs: tuple[int, int], targets: tuple[int, int]) -> None:
    text = shared_data("nietzsche.txt").read_text(encoding="utf-8")
    ids = Vocabulary.of(text).encode(text)
    x, y = windowing.cut(ids)
    assert (x.shape, y.shape) == (inputs, targets)
    assert x.dtype == y.dtype == np.uint8
    assert np.shares_memory(x, ids)
    assert np.shares_memory(y, ids)


@given(st.integers(2, 60), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_windows_are_all_slices_that_fit(length: int, size: int, stride: int, targets: int) -> None:
    ids = text_of(length)
    if targets > size or length < size + 1:
        with pytest.raises(InputError):
            windows(ids, size, stride, targets)
        return
    x, y = windows(ids, size, stride, targets)
    starts = range(0, length - size, stride)
    assert x.tolist() == [list(range(start, start + size)) for start in starts]
    assert y.tolist() == [list(range(start + size + 1 - targets, start + size + 1)) for start in starts]


def test_windows_of_a_mapped_file_are_views_of_it(tmp_path: Path) -> None:
    text_of(1000).tofile(tmp_path / "ids")
    ids = np.memmap(tmp_path / "ids", np.uint16, mode="r")
    parts = split(ids, 0.1, 0.1)
    for view in (*windows(ids, 8, 1, 8), streams(ids, 7), parts.train, parts.validation, parts.test):
        assert np.shares_memory(view, ids)
        assert not view.flags.writeable
        assert view.dtype == np.uint16


@pytest.mark.parametrize(("name", "value"), [("size", 0), ("stride", 0), ("targets", 0), ("size", -3)])
def test_sizes_below_one(name: str, value: int) -> None:
    with pytest.raises(InputError, match=f"the {name} of windows is {value}"):
        windows(text_of(20), **({"size": 8, "stride": 8, "targets": 1} | {name: value}))


def test_a_text_shorter_than_a_window() -> None:
    with pytest.raises(InputError, match="8 characters, too few for a window of 8 and the one after it"):
        windows(text_of(8), 8, 8, 8)
    assert len(windows(text_of(9), 8, 8, 8)[0]) == 1
    assert len(EIGHT_TO_ONE.cut(text_of(9))[0]) == 0  # the lesson leaves the last one out


@given(st.integers(1, 300), st.integers(1, 40))
def test_every_character_but_the_first_is_the_target_of_a_stream(length: int, count: int) -> None:
    ids = text_of(length)
    if length <= count:
        with pytest.raises(InputError, match=f"too few for {count} streams"):
            streams(ids, count)
        return
    rows = streams(ids, count)
    assert np.shares_memory(rows, ids)
    assert set(rows[:, 1:].ravel().tolist()) == set(range(1, length))
    assert all(np.diff(row).tolist() == [1] * (len(row) - 1) for row in rows.astype(int))
    assert len(set(np.diff(rows[:, 0].astype(int)))) <= 1  # evenly spaced
    assert rows.shape[1] - (length - 1) // count <= count  # neighbours share at most as many characters


def test_streams_of_a_part_of_a_text_stay_in_it() -> None:
    part = text_of(100)[10:60]
    assert streams(part, 3).max() == 59
    assert streams(part[::2], 3).max() == 58


@pytest.mark.parametrize("count", [0, -1])
def test_no_streams(count: int) -> None:
    with pytest.raises(InputError, match=f"streams is {count}, but"):
        streams(text_of(20), count)


@given(st.integers(30, 1000), st.floats(0, 0.4), st.floats(0, 0.4))
def test_a_split_is_the_text_in_three(length: int, validation: float, test: float) -> None:
    ids = text_of(length)
    try:
        parts = split(ids, validation, test)
    except InputError:
        assert 0 < min(share or 1 for share in (validation, test)) < 1.5 / length
        return
    assert np.concatenate((parts.train, parts.validation, parts.test)).tolist() == ids.tolist()
    assert abs(len(parts.validation) - validation * length) <= 1
    assert abs(len(parts.test) - test * length) <= 1


def test_the_cut_is_where_others_have_it() -> None:
    """nanoGPT cuts tinyshakespeare at int(0.9 n); the lesson cuts at int(0.8 n)."""
    assert len(split(np.empty(1_115_394, np.uint8), 0.1).train) == int(1_115_394 * 0.9)
    for length in range(10, 3000):
        ids = np.empty(length, np.uint8)
        assert len(split(ids, 0.1).train) == length * 9 // 10
        assert len(split(ids, 0.2).train) == len(split(ids, 0.1, 0.1).train) == length * 8 // 10


@pytest.mark.parametrize(("validation", "test"), [(-0.1, 0.0), (0.1, -0.1), (0.5, 0.5), (1.0, 0.0), (float("nan"), 0)])
def test_impossible_shares(validation: float, test: float) -> None:
    with pytest.raises(InputError, match="at least 0, and their sum below 1"):
        split(text_of(100), validation, test)


def test_a_text_too_short_for_a_part() -> None:
    with pytest.raises(InputError, match="has 1 characters, too few to keep a train part"):
        split(text_of(1), 0.1)
    with pytest.raises(InputError, match="too few to keep a test part"):
        split(text_of(5), 0.2, 1e-9)


@given(st.integers(1, 20_000), st.floats(0, 0.9))
def test_what_is_held_out_comes_from_all_over_a_text(length, share):
    ids = np.arange(length)
    kept, held = hold_out(ids, share)
    assert len(held) == int(length * share)
    assert sorted([*kept, *held]) == ids.tolist()
    assert (np.diff(kept) > 0).all()
    pieces = np.split(held, np.flatnonzero(np.diff(held) > 1) + 1)
    assert len(pieces) == (max(1, min(32, len(held) // 512)) if share else 1)
    assert not len(held) or held[-1] == length - 1
    assert len(pieces) == 1 or min(map(len, pieces)) >= 512


def test_nothing_of_a_large_text_is_copied(monkeypatch):
    monkeypatch.setattr("unrolled.text.windows.LARGEST_COPIED", 10_000)
    ids = text_of(50_000)
    kept, held = hold_out(ids, 0.1)
    assert np.shares_memory(kept, ids)
    assert np.array_equal(np.concatenate([kept, held]), ids)

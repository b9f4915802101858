"""Cutting ids into windows, streams and splits. All results are views, but for what `hold_out` takes out of the middle.

A window starts from the zero state; a stream carries its state from one segment to the next. Left out: the order of
batches (`unrolled.learn`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from unrolled.bounds import check_number
from unrolled.errors import InputError
from unrolled.text.sample import Sample
from unrolled.text.vocabulary import Ids


@dataclass(frozen=True)
class Windowing:
    """The geometry of windows: characters read, stride, characters predicted.

    `left_out` windows at the end are not used: the lesson's notebook loses a few, and its figures are without them.
    """

    size: int
    stride: int
    targets: int
    left_out: int = 0

    def cut(self, ids: Ids) -> tuple[Ids, Ids]:
        """Inputs (window, size) and targets (window, targets): the views of `windows`, without those left out."""
        inputs, targets = windows(ids, self.size, self.stride, self.targets)
        count = max(len(inputs) - self.left_out, 0)
        return inputs[:count], targets[:count]


BLOCKS, SHORTEST_PIECE, LARGEST_COPIED = 32, 512, 1 << 24
"""Of a text of which a part is held out: see `hold_out`."""
THREE_TO_ONE = Windowing(3, 3, 1, left_out=2)
EIGHT_TO_ONE = Windowing(8, 1, 1, left_out=1)
EIGHT_TO_EIGHT = Windowing(8, 8, 8)


@dataclass(frozen=True)
class Split:
    """Contiguous parts of a text, views: train, mixing, validation, test in reading order. Some may be empty."""

    train: Ids
    validation: Ids
    test: Ids
    mixing: Ids = field(default_factory=lambda: np.empty(0, np.uint8))
    """A share of the training text, not trained on: it decides how models are mixed."""

    def bounds(self, part: str) -> tuple[int, int]:
        """Where the part `train`, `mixing`, `validation` or `test` begins and ends in the text."""
        lengths = {name: len(getattr(self, name)) for name in ("train", "mixing", "validation", "test")}
        start = sum(list(lengths.values())[: list(lengths).index(part)])
        return start, start + lengths[part]

    def sample(self, ids: Ids, part: str, limit: int | None = None, boundary: int | None = None) -> Sample:
        """What is judged of a part of the text `ids`: about `limit` characters; with a `boundary`, whole records."""
        start, end = self.bounds(part)
        found = Sample.of(start, end, limit)
        return found if boundary is None else found.whole_records(ids, boundary, end)


def windows(ids: Ids, size: int, stride: int, targets: int) -> tuple[Ids, Ids]:
    """Inputs (window, size) and targets (window, targets), all that fit into `ids`, (character,), as views.

    Window i reads `size` characters from i * stride on; its targets are the `targets` characters that end one after
    the window: 1 is only the character after it, `size` the next character at every position. Raises InputError for
    sizes below 1 and for a text shorter than one window.
    """
    for name, value in (("size", size), ("stride", stride), ("targets", targets)):
        check_number(f"the {name} of windows", value, at_least=1)
    if targets > size:
        raise InputError(f"windows of {size} characters cannot have {targets} targets: at most one for each character")
    if len(ids) < size + 1:
        raise InputError(
            f"the text has {len(ids):,} characters, too few for a window of {size} and the one after it: "
            "give a longer text or a smaller window"
        )
    every = np.lib.stride_tricks.sliding_window_view(ids, size + 1)[::stride]
    return every[:, :size], every[:, size + 1 - targets :]


def streams(ids: Ids, count: int) -> Ids:
    """`count` streams to read the text in parallel, (stream, character), a read-only view.

    Starts are evenly spaced, (n - 1) // count apart in a text of n characters. A stream overlaps the next by at least
    one character and at most `count`, so that every character except the first is a target of some stream.
    Raises InputError for a text too short to give each stream one character and a target.
    """
    check_number("streams", count, at_least=1)
    step = (len(ids) - 1) // count
    if step < 1:
        raise InputError(
            f"the text has {len(ids):,} characters, too few for {count} streams: give a longer text or fewer streams"
        )
    length = len(ids) - (count - 1) * step
    (item,) = ids.strides
    return np.lib.stride_tricks.as_strided(ids, (count, length), (step * item, item), writeable=False)


def split(ids: Ids, validation: float, test: float = 0.0) -> Split:
    """The text cut: the last share `test`, before it the share `validation`, and all before as train.

    Raises InputError for fractions that are negative or leave nothing to train on, and for a text so short that a
    requested part would be empty.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise InputError(f"validation is {validation} and test {test}: each must be at least 0, and their sum below 1")
    # Rounded first: 1 - 0.1 - 0.1 is slightly below 0.8, which would move the boundary by one character.
    first, second = (int(round(len(ids) * (1 - share), 6)) for share in (validation + test, test))
    parts = Split(ids[:first], ids[first:second], ids[second:])
    asked = {"train": 1.0, "validation": validation, "test": test}
    for name, share in asked.items():
        if share and not len(getattr(parts, name)):
            raise InputError(f"the text has {len(ids):,} characters, too few to keep a {name} part: give a longer text")
    return parts


def hold_out(ids: Ids, share: float) -> tuple[Ids, Ids]:
    """The text without a `share` of it, and that share: the ends of up to 32 equal blocks, joined.

    They come from all over the text, because a network that has not read its end at all is worse on what follows:
    a play whose first act is held out has names that are nowhere else. Pieces have 512 characters at least. Of a text
    of more than 16 million characters, which may be mapped from a file, the end is held out, and nothing is copied.
    """
    held = int(len(ids) * share)
    count = max(1, min(BLOCKS, held // SHORTEST_PIECE)) if len(ids) <= LARGEST_COPIED else 1
    ends = len(ids) * np.arange(1, count + 1) // count
    cuts = ends - np.diff(held * np.arange(count + 1) // count)
    if count == 1:
        return ids[: cuts[0]], ids[cuts[0] :]
    pieces = np.split(ids, np.column_stack([cuts, ends]).ravel()[:-1])
    return np.concatenate(pieces[::2]), np.concatenate(pieces[1::2])

"""Cutting ids into windows, streams and splits. All results are views: nothing is copied, widened or shuffled.

A window starts from the zero state; a stream carries its state from one segment to the next. Left out: the order of
batches (`unrolled.learn`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from unrolled.errors import InputError
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
    """The end of the training part, not trained on: it decides how models are mixed."""


def windows(ids: Ids, size: int, stride: int, targets: int) -> tuple[Ids, Ids]:
    """Inputs (window, size) and targets (window, targets), all that fit into `ids`, (character,), as views.

    Window i reads `size` characters from i * stride on; its targets are the `targets` characters that end one after
    the window: 1 is only the character after it, `size` the next character at every position. Raises InputError for
    sizes below 1 and for a text shorter than one window.
    """
    for name, value in (("size", size), ("stride", stride), ("targets", targets)):
        if value < 1:
            raise InputError(f"the {name} of windows is {value}, but it must be at least 1")
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
    if count < 1:
        raise InputError(f"streams is {count}, but it must be at least 1")
    step = (len(ids) - 1) // count
    if step < 1:
        raise InputError(
            f"the text has {len(ids):,} characters, too few for {count} streams: give a longer text or fewer streams"
        )
    length = len(ids) - (count - 1) * step
    (item,) = ids.strides
    return np.lib.stride_tricks.as_strided(ids, (count, length), (step * item, item), writeable=False)


def split(ids: Ids, validation: float, test: float = 0.0, mixing: float = 0.0) -> Split:
    """The text cut: the last share `test`, before it the share `validation`, and all before as train.

    `mixing` is a share of the training part, at its end.

    Raises InputError for fractions that are negative or leave nothing to train on, and for a text so short that a
    requested part would be empty.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise InputError(
            f"validation is {validation} and test {test}: shares of at least 0 that leave some to train on"
        )
    # Rounded first: 1 - 0.1 - 0.1 is slightly below 0.8, which would move the boundary by one character.
    first, second = (int(round(len(ids) * (1 - share), 6)) for share in (validation + test, test))
    train = first - int(first * mixing)
    parts = Split(ids[:train], ids[first:second], ids[second:], ids[train:first])
    asked = {"train": 1.0, "validation": validation, "test": test}
    for name, share in asked.items():
        if share and not len(getattr(parts, name)):
            raise InputError(f"the text has {len(ids):,} characters, too few to keep a {name} part: give a longer text")
    return parts

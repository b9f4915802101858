"""How the library reports what happens while something runs: a `Notice`, handed to the caller's `notify`.

The library never prints. What must be acted upon has `is_warning` set, and becomes one of Python's warnings where the
caller gives no `notify`; everything else is then silent. Left out: progress, which is yielded or has a callback.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable


class Notice(str):
    """One sentence; `is_warning` where something went wrong that did not stop the work."""

    is_warning: bool

    def __new__(cls, sentence: str, *, is_warning: bool = False) -> Notice:
        notice = super().__new__(cls, sentence)
        notice.is_warning = is_warning
        return notice


Notify = Callable[[Notice], None]


class UnrolledWarning(UserWarning):
    """A `Notice` that is a warning, where the caller gave no `notify`."""


def warn(notice: Notice) -> None:
    """The default `notify`: warnings become `UnrolledWarning`, everything else is silent."""
    if notice.is_warning:
        warnings.warn(f"{notice}", UnrolledWarning, stacklevel=2)

"""The cache: one folder for everything that can be downloaded or computed again, kept below a bound.

What was used longest ago is deleted first. Left out: what the files contain (`datasets`, `encoded`).
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from unrolled.errors import InputError

CACHE_VARIABLE = "UNROLLED_CACHE"
LIMIT_VARIABLE = "UNROLLED_CACHE_GB"
DEFAULT_LIMIT = 16.0
"""Gigabytes (10^9 bytes)."""
BASE = "base"
OWN = re.compile(r"[0-9a-f]{64}\.(ids|json)|(nietzsche|tinyshakespeare)\.txt")
"""Names of the files that are written there. All others in that folder are somebody else's and stay."""


def cache_folder() -> Path:
    """The folder named by UNROLLED_CACHE, or the system's default."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    variable, default = {
        "darwin": ("", Path.home() / "Library" / "Caches"),
        "win32": ("LOCALAPPDATA", Path.home() / "AppData" / "Local"),
    }.get(sys.platform, ("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get(variable) or default) / "unrolled"


def base_folder() -> Path:
    """Where `unrolled make-base` puts a network for others to start from; it is never deleted to make room."""
    return cache_folder() / BASE


def cache_limit() -> int:
    """How many bytes the cache may hold. Raises InputError if UNROLLED_CACHE_GB is not a positive number."""
    given = os.environ.get(LIMIT_VARIABLE, f"{DEFAULT_LIMIT}")
    with contextlib.suppress(ValueError):
        if 0 < float(given) < float("inf"):
            return int(float(given) * 1e9)
    raise InputError(f"{LIMIT_VARIABLE} is {given!r}, but must be a positive number of gigabytes")


@dataclass(frozen=True)
class CacheEntry:
    """One text in the cache: its files, their bytes on disk, and when it was last used (seconds since 1970)."""

    name: str
    files: tuple[Path, ...]
    bytes: int
    used: float

    def delete(self) -> None:
        """Delete its files, the one that makes it count as whole first. Raises OSError where that is refused."""
        for path in sorted(self.files, key=lambda path: path.suffix != ".json"):
            path.unlink(missing_ok=True)


def cache_entries(folder: Path) -> list[CacheEntry]:
    """What the cache holds, last used first."""
    files: dict[str, list[tuple[Path, os.stat_result]]] = {}
    for path in folder.glob("*"):
        if OWN.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with contextlib.suppress(FileNotFoundError):  # another process has deleted it
                files.setdefault(path.stem, []).append((path, path.stat()))
    entries = [
        CacheEntry(
            name,
            tuple(path for path, _ in found),
            sum(facts.st_size for _, facts in found),
            max(facts.st_mtime for _, facts in found),
        )
        for name, found in files.items()
    ]
    return sorted(entries, key=lambda entry: -entry.used)


def make_room(folder: Path, name: str, size: int) -> None:
    """Delete what was used longest ago until `size` bytes for the entry `name` fit.

    Raises InputError if `size` alone exceeds the limit.
    """
    limit = cache_limit()
    if size > limit:
        raise InputError(
            f"the ids of this text take {size / 1e9:.3g} GB, but the cache may hold {limit / 1e9:.3g} GB: "
            f"set {LIMIT_VARIABLE} to a larger number"
        )
    others = [entry for entry in cache_entries(folder) if entry.name != name]
    total = size + sum(entry.bytes for entry in others)
    while total > limit:
        entry = others.pop()
        with contextlib.suppress(OSError):  # in use, on a system that does not delete such files
            entry.delete()
        total -= entry.bytes

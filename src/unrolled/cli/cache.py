"""`unrolled cache`: what is kept to be faster the next time, and how to delete it."""

from __future__ import annotations

import time
from typing import Annotated

from unrolled.cli.options import Flag, Json
from unrolled.cli.output import print_json, say
from unrolled.cli.showing import print_table
from unrolled.text.cache import LIMIT_VARIABLE, cache_entries, cache_folder, cache_limit


def cache(*, clear: Annotated[bool, Flag] = False, json: Json = False) -> None:
    """Show what the cache holds: the ids of long texts, and downloaded texts.

    It is kept below a bound of 16 GB, or that of the environment variable UNROLLED_CACHE_GB: what was used longest ago
    is deleted first. The folder is that of UNROLLED_CACHE, or the system's default.

    Parameters
    ----------
    clear
        Delete all of it. Everything there can be downloaded or computed again.
    """
    folder, limit = cache_folder(), cache_limit()
    entries = cache_entries(folder)
    total = sum(entry.bytes for entry in entries)
    if clear:
        for entry in entries:
            entry.delete()
    if json:
        rows = [{"name": entry.name, "bytes": entry.bytes, "used": entry.used} for entry in entries]
        facts = {"folder": f"{folder}", "entries": rows, "bytes": total, "limit": limit, "cleared": clear}
        return print_json(facts)
    if not clear and entries:
        days = [(time.time() - entry.used) / 86400 for entry in entries]
        rows_shown = [
            (entry.name if len(entry.name) <= 24 else f"{entry.name[:12]}…", f"{entry.bytes / 1e6:,.1f}", f"{day:.1f}")
            for entry, day in zip(entries, days, strict=True)
        ]
        print_table(("name", "MB", "days since last use"), rows_shown)
    done = "deleted" if clear else "in"
    say(f"{total / 1e6:,.1f} MB {done} {folder}; at most {limit / 1e9:.3g} GB are kept there ({LIMIT_VARIABLE})")
    return None

"""How a long measurement tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[str, float], None]
"""Called with what is being done and the share that is done, from 0 to 1."""

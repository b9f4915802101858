"""The size of a text under gzip and xz in bits per character, as baselines for the figures of a model.

Both read the text as UTF-8, piece by piece, with the settings of `gzip -9` and `xz -6`. Headers and check sums count,
as they do on disk.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterable
from typing import Protocol

from unrolled.errors import InputError

_GZIP_CONTAINER = 16 + zlib.MAX_WBITS


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def gzip_bits(text: str | Iterable[str]) -> float:
    """Bits per character of the text, or of its pieces, after `gzip -9`. Raises InputError for an empty text."""
    return _bits(text, zlib.compressobj(9, zlib.DEFLATED, _GZIP_CONTAINER))


def xz_bits(text: str | Iterable[str]) -> float:
    """Bits per character of the text, or of its pieces, after `xz -6`. Raises InputError for an empty text.

    Takes about one second per megabyte and 100 MB of memory.
    """
    return _bits(text, lzma.LZMACompressor(preset=6))


def _bits(text: str | Iterable[str], compressor: _Compressor) -> float:
    characters = size = 0
    for piece in [text] if isinstance(text, str) else text:
        characters += len(piece)
        size += len(compressor.compress(piece.encode("utf-8", "replace")))
    if not characters:
        raise InputError("the text is empty, so it has no bits per character")
    return 8 * (size + len(compressor.flush())) / characters

"""The size of a text under gzip, bz2, xz, zstd and PPMd in bits per character, as baselines for the figures of a model.

All read the text as UTF-8, piece by piece. Headers and check sums count, as they do on disk. A compressor can be primed
with the text before: what it then needs is compared with a model that was trained on that text. How much of it a
compressor can use is a matter of its window: 32 KB for gzip, half a block for bz2, 8 MB for xz and zstd.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, Protocol

from unrolled.errors import InputError
from unrolled.text.vocabulary import BOUNDARY, LABEL_END

WINDOW = 8 << 20
"""Bytes before a text that the best of them can still use."""
ORDERS, MEMORY = (6, 16), 64 << 20
"""Of PPMd; the better order counts: 6 on prose, 16 where a text repeats itself."""
SHORT = 1 << 13
"""Characters of a text for which xz needs a small dictionary only."""
PIECE = 1 << 16
"""Bytes given to a compressor at once, so that a signal never waits for long."""
_GZIP_CONTAINER, _RAW = 16 + zlib.MAX_WBITS, -zlib.MAX_WBITS
_DEFLATE_WINDOW, _HALF_A_BLOCK = 1 << 15, 450_000


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def gzip_bits(text: str | Iterable[str], before: bytes = b"") -> float:
    """Bits per character of the text, or of its pieces, after `gzip -9`. Raises InputError for an empty text.

    `before` is the end of the text that comes before, if the compressor is to know it.
    """
    if before:
        return _bits(text, zlib.compressobj(9, zlib.DEFLATED, _RAW, 9, zdict=before[-_DEFLATE_WINDOW:]))
    return _bits(text, zlib.compressobj(9, zlib.DEFLATED, _GZIP_CONTAINER))


def bz2_bits(text: str | Iterable[str], before: bytes = b"") -> float:
    """The same after `bzip2 -9`."""
    return _bits(text, bz2.BZ2Compressor(9), *_primed(bz2.BZ2Compressor(9), before[-_HALF_A_BLOCK:]))


def xz_bits(text: str | Iterable[str], before: bytes = b"") -> float:
    """The same after `xz -6`. Takes about one second per megabyte, of `before` two, and 100 MB of memory."""
    if isinstance(text, str) and len(text) <= SHORT and not before:
        # Beyond the text its dictionary is empty, but to clear its tables would take 15 ms.
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 4 * SHORT}]
        return _bits(text, lzma.LZMACompressor(filters=filters))
    return _bits(text, lzma.LZMACompressor(preset=6), *_primed(lzma.LZMACompressor(preset=6), before[-WINDOW:]))


def zstd_bits(text: str | Iterable[str], before: bytes = b"") -> float:
    """The same after `zstd -19`. Raises ModuleNotFoundError where Python has no zstd: see `has_zstd`."""
    zstd = _zstd()
    options = {zstd.CompressionParameter.compression_level: 19, zstd.CompressionParameter.window_log: 23}
    dictionary = zstd.ZstdDict(before[-WINDOW:], is_raw=True) if len(before) >= 8 else None
    return _bits(text, zstd.ZstdCompressor(options=options, zstd_dict=dictionary))


def ppmd_bits(text: str | Iterable[str], before: bytes = b"") -> float:
    """The same under PPMd, variant H. Raises ModuleNotFoundError where the package pyppmd is missing."""
    pieces = [text] if isinstance(text, str) else list(text)
    return min(_bits(pieces, _Ppmd(order), *_primed(_Ppmd(order), before)) for order in ORDERS)


class _Ppmd:
    def __init__(self, order: int) -> None:
        self._encoder: Any = import_module("pyppmd").Ppmd7Encoder(order, MEMORY)

    def compress(self, data: bytes, /) -> bytes:
        written: bytes = self._encoder.encode(data)
        return written

    def flush(self) -> bytes:
        written: bytes = self._encoder.flush()
        return written


def has_zstd() -> bool:
    """Whether there is zstd: in Python's library from 3.14 on, before in the package backports.zstd."""
    return any(map(_is_there, ("compression.zstd", "backports.zstd")))


def compressors() -> Mapping[str, Callable[[str | Iterable[str], bytes], float]]:
    """The compressors that are there, by name."""
    further = {"zstd": (zstd_bits, has_zstd()), "PPMd": (ppmd_bits, _is_there("pyppmd"))}
    there = {name: bits for name, (bits, is_there) in further.items() if is_there}
    return {"gzip": gzip_bits, "bz2": bz2_bits, "xz": xz_bits} | there


def _is_there(module: str) -> bool:
    try:
        import_module(module)
    except ModuleNotFoundError:
        return False
    return True


def _zstd() -> Any:
    try:
        return import_module("compression.zstd")
    except ModuleNotFoundError:
        return import_module("backports.zstd")


def _primed(compressor: _Compressor, before: bytes) -> tuple[bytes, int]:
    """What is read before the text, and what it comes to by itself: the text is charged for the difference."""
    if not before:
        return b"", 0
    return before, _size(compressor, _cut(before)) + len(compressor.flush())


def _bits(text: str | Iterable[str], compressor: _Compressor, before: bytes = b"", already: int = 0) -> float:
    characters, size = 0, _size(compressor, _cut(before))
    for piece in [text] if isinstance(text, str) else text:
        characters += len(piece)
        size += _size(compressor, _cut(encoded(piece)))
    if not characters:
        raise InputError("the text is empty, so it has no bits per character")
    return 8 * max(0, size + len(compressor.flush()) - already) / characters  # a copy may even make bz2's file smaller


def encoded(piece: str) -> bytes:
    """The bytes that are compressed: newlines separate records and tabs end labels, as they did in the text."""
    return piece.replace(BOUNDARY, "\n").replace(LABEL_END, "\t").encode("utf-8", "replace")


def _size(compressor: _Compressor, pieces: Iterable[bytes]) -> int:
    return sum(len(compressor.compress(piece)) for piece in pieces)


def _cut(data: bytes) -> Iterable[bytes]:
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))

"""Decoding bytes into characters, with errors that say where, on which line, and which encoding is likely.

`decode` works on a stream. `likely_encoding` is used for error messages only: a text is always read in the encoding
that was given.
"""

from __future__ import annotations

import codecs
import difflib
import encodings.aliases
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from unrolled.errors import InputError

OnDamage = Literal["error", "replace", "skip"]
SAMPLE_BYTES = 1 << 16  # bytes used for the guess and for the test for binary files
MAX_CONTROL_SHARE = 0.02  # with a larger fraction of control characters it is not text, as in the Unix tool `file`

_BOMS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
         codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
_CONTROL = re.compile("[\x01-\x07\x0e-\x19\x1c-\x1f\x7f]")  # without blanks, backspace, escape and the DOS end mark


# Accented Latin letters occur alone or in pairs; letters of other scripts occur in runs, without plain letters next to
# them. Capitals are rarer than lower case, which separates cp1251 from koi8_r. Kana separate Japanese from Chinese. The
# order decides ties.
_LATIN = re.compile(r"(?<![À-ɏ])[À-ÖØ-öø-ɏ]{1,2}(?![À-ɏ])|[€‚„…†‡‰‹›‘’“”•–—™¡¢£§©ª«®°²³µ·º»½¿\u00a0]")
_CYRILLIC = re.compile(r"(?<![A-Za-z])(?:[а-яё]|(?<![А-Яа-яё])[А-ЯЁ])(?![A-Za-z])|[№«»—–„“…]")
_KANA = re.compile(r"[\u3001\u3002\u3040-\u30ff\uff01-\uff5e]|(?<=[\u3040-\u30ff])[\u4e00-\u9fff]|[\u4e00-\u9fff](?=[\u3040-\u30ff])")  # fmt: skip # noqa: E501
_HANGUL = re.compile(r"[가-힣]")
_HAN = re.compile(r"[\u4e00-\u9fff\u3000-\u3020\uff01-\uff5e“”‘’—…]")
_CANDIDATES = {
    "shift_jis": _KANA, "euc_jp": _KANA, "euc_kr": _HANGUL, "gb18030": _HAN, "big5": _HAN, "cp1251": _CYRILLIC,
    "koi8_r": _CYRILLIC, "cp1252": _LATIN, "iso8859_2": _LATIN, "mac_roman": _LATIN, "cp437": _LATIN,
}  # fmt: skip
"""Encodings, and the non-ASCII characters that are common in texts stored in each."""
# The frequent characters of Chinese lie first in both tables: GB 2312 from 0xB0 to 0xD7, Big5 from 0xA4 to 0xC6.
_FREQUENT_LEADS = {"gb18030": range(0xB0, 0xD8), "big5": range(0xA4, 0xC7)}


def known_encoding(name: str) -> str:
    """Python's name of a text encoding; raises InputError with the closest name for any other."""
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        info = None
    if info is None or not _is_of_texts(info):
        near = difflib.get_close_matches(name.lower().replace("-", "_"), sorted(encodings.aliases.aliases), n=1)
        hint = (
            f"did you mean {near[0]!r}?" if near else "choose one that Python knows, such as utf-8, cp1252 or gb18030"
        )
        raise InputError(f"unknown encoding {name!r}: {hint}")
    return info.name


def _is_of_texts(info: codecs.CodecInfo) -> bool:
    """Whether a codec is a text encoding: not zlib, rot13 and the like, nor those of host names."""
    return info._is_text_encoding and info.name not in ("idna", "punycode", "undefined")


def decode(
    blocks: Iterable[bytes], encoding: str, name: str, again: Callable[[], Iterable[bytes]], errors: OnDamage = "error"
) -> Iterator[str]:
    """The text of the file `name`, block by block: no byte order mark, and every newline as one "\\n".

    Bytes that are not `encoding` become U+FFFD if `errors` is "replace", and are left out if it is "skip". Otherwise it
    raises InputError with the byte offset, the line and the likely encoding if the bytes are not `encoding`. `again`
    returns the same blocks from the start, to find the line of an error (counting all lines would be slow).
    """
    decoder = codecs.getincrementaldecoder(encoding)({"skip": "ignore", "error": "strict"}.get(errors, errors))
    newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
    offset, start = 0, True
    for block in _with_end(blocks):
        pending = len(decoder.getstate()[0])
        try:
            text = newlines.decode(block or b"", final=block is None)
        except UnicodeError as error:
            bad = offset - pending + getattr(error, "start", 0)
            if not isinstance(error, UnicodeDecodeError) or (bad == 0 and encoding in _BOMS.values()):
                raise _no_mark(encoding, name) from None
            raise _not_decodable(error, bad, _line(again(), encoding, bad), name) from None
        offset += len(block or b"")
        if start and text:
            text, start = text.removeprefix("\ufeff"), False
        if text:
            yield text


def looks_binary(head: bytes, encoding: str) -> bool:
    """Whether the first bytes of a file are not text: a NUL or many control characters after decoding.

    A byte order mark of another encoding counts as text, which is refused later with a better reason.
    """
    if head.startswith(tuple(_BOMS)):
        return False
    try:
        text = codecs.getincrementaldecoder(encoding)("replace").decode(head[:SAMPLE_BYTES])
    except UnicodeError:  # a byte order mark is missing, which `decode` reports
        return False
    return "\0" in text or len(_CONTROL.findall(text)) > MAX_CONTROL_SHARE * len(text)


def likely_encoding(sample: bytes) -> str | None:
    """The encoding in which `sample`, which is not UTF-8, is most likely text, or None if there is none."""
    for mark, name in _BOMS.items():  # UTF-32 first: its mark begins with that of UTF-16
        if sample.startswith(mark):
            return name
    wide = _wide_encoding(sample)
    if wide is not None:
        return wide
    scores = {name: _score(sample, name, ordinary) for name, ordinary in _CANDIDATES.items()}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] > 0.5 else None


def _with_end(blocks: Iterable[bytes]) -> Iterator[bytes | None]:
    yield from blocks
    yield None


def _line(blocks: Iterable[bytes], encoding: str, offset: int) -> int:
    """The line, counted from 1, of the byte at `offset`."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
    line = 1
    for block in blocks:
        line += newlines.decode(block[:offset], final=len(block) >= offset).count("\n")
        offset -= len(block)
        if offset <= 0:
            break
    return line


def _not_decodable(error: UnicodeDecodeError, offset: int, line: int, name: str) -> InputError:
    where = f"byte 0x{error.object[error.start]:02x} at offset {offset:,}, on line {line:,}"
    encoding = codecs.lookup(error.encoding).name.upper()
    return InputError(f"{name} is not {encoding}: {where}, is invalid. {_advice(error)}")


def _no_mark(encoding: str, name: str) -> InputError:
    return InputError(
        f"{name} has no byte order mark, by which {encoding.upper()} is read: read it with --encoding {encoding}-le "
        f"or {encoding}-be"
    )


def _advice(error: UnicodeDecodeError) -> str:
    if error.reason == "unexpected end of data" and error.encoding == "utf-8":
        return "The file ends in the middle of a character: complete it, or train with --errors skip"
    first = error.object.rfind(b"\n", 0, max(error.start - 4096, 0)) + 1
    sample = error.object[first : first + SAMPLE_BYTES]
    guess = likely_encoding(sample)
    if guess not in ("utf-16", "utf-32") and _mostly_utf8(sample):
        return (
            "The text around it is UTF-8, so the file is damaged there: repair it, read it with --encoding latin-1, "
            "or train with --errors replace"
        )
    if guess is None:
        return "Name its encoding with --encoding, or convert the file to UTF-8"
    return f"It looks like {guess}: read it with --encoding {guess}, or convert the file to UTF-8"


def _mostly_utf8(sample: bytes) -> bool:
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(sample)
    wrong = text.count("\ufffd")
    return sum(not character.isascii() for character in text) - wrong > 4 * wrong


def _wide_encoding(sample: bytes) -> str | None:
    """UTF-16 without a byte order mark: in alphabetic scripts most high bytes are 0."""
    half = len(sample) // 2
    even, odd = sample[: 2 * half : 2].count(0), sample[1 : 2 * half : 2].count(0)
    if max(even, odd) < 0.4 * half or min(even, odd) > 0.1 * half or not half:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _score(sample: bytes, name: str, common: re.Pattern[str]) -> float:
    """The fraction of non-ASCII characters that are common ones; 0 if a byte cannot be decoded."""
    try:
        text = codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeDecodeError:
        return 0.0
    foreign = sum(not character.isascii() for character in text)
    ordinary = sum(not character.isascii() for character in "".join(common.findall(text)))
    return ordinary / max(foreign, 1) * _frequent_share(text, name)


def _frequent_share(text: str, name: str) -> float:
    leads = _FREQUENT_LEADS.get(name)
    if leads is None:
        return 1.0
    pairs = [c.encode(name) for c in text if "\u4e00" <= c <= "\u9fff"]
    return sum(pair[0] in leads for pair in pairs) / max(len(pairs), 1)

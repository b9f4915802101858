"""The corpus doctor: what to know about a text before training on it, as figures and short sentences.

It reads ids block by block, so texts may be of any size. Left out: the network and how long it trains, which training
itself reports.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.text.encoded import EncodedText
from unrolled.text.report.order import FileOrder, LineOrder, file_order, line_order
from unrolled.text.report.repeated_lines import LONG_LINE, RepeatedLines
from unrolled.text.vocabulary import UNKNOWN, Ids

RARE = 10  # a symbol seen fewer times than this is rare: a vector cannot be learned from a handful of examples
DRIFT_BITS = 0.2  # bits per character; more is a change of alphabet, layout or language, not of subject
REPEATED_SHARE = 0.1
_BLOCK = 1 << 18
_RELEASE = 1 << 23


@dataclass(frozen=True)
class CorpusReport:
    """The findings of `examine`; `sentences` puts them in words."""

    characters: int
    symbols: int
    """Number of different characters, without the unknown one."""
    rare_symbols: int
    """Number of symbols that occur fewer than `RARE` times."""
    rare_characters: int
    """How often all rare symbols together occur."""
    merged_symbols: int
    """Symbols of the training text that were merged into the unknown character."""
    unknown_characters: int
    """How often the unknown character occurs in the text."""
    lines: int
    long_lines: int
    """Lines of at least `LONG_LINE` characters."""
    repeated_lines: int
    """Long lines that repeat an earlier one (estimated from a sample in texts of many million lines)."""
    drift_bits: float
    """Extra bits per character to code the last tenth with the frequencies of the rest instead of its own."""
    drift_noise: float
    """The expected `drift_bits` if the last tenth were a random sample."""
    new_symbols: int
    """Symbols that occur only in the last tenth."""
    order: LineOrder | None = None
    """What the order of the lines means; None for a text of few lines, and for records."""
    files: FileOrder | None = None
    """What the order of the files means; None for few of them, and for records."""
    is_records: bool = False
    """Whether the lines are records, of any separator."""

    def sentences(self) -> list[str]:
        """The findings, one sentence each; warnings say what to do."""
        return [*_size(self), *_order(self), *_files(self), *_rarity(self), *_repetition(self), *_drift(self)]

    def to_json(self) -> dict[str, Any]:
        """The figures by name, and the sentences."""
        return asdict(self) | {"sentences": self.sentences()}


def examine(encoded: EncodedText) -> CorpusReport:
    """Examine a text in one pass, at a few nanoseconds per character and constant memory."""
    first, last, lines = _counts(encoded)
    counts, boundary = first + last, encoded.vocabulary.boundary
    marks = [mark for mark in (boundary, encoded.vocabulary.label_end) if mark is not None]
    known = np.delete(counts, [UNKNOWN, *marks])
    rare = known[(known > 0) & (known < RARE)]
    symbols = int(np.count_nonzero(known))
    drift, noise = drift_bits(first, last)
    return CorpusReport(
        characters=len(encoded),
        symbols=symbols,
        rare_symbols=len(rare),
        rare_characters=int(rare.sum()),
        merged_symbols=encoded.vocabulary.merged,
        unknown_characters=int(counts[UNKNOWN]),
        lines=lines.lines - (boundary is not None),  # records begin with a boundary
        long_lines=lines.long_lines,
        repeated_lines=lines.repeated(),
        drift_bits=drift,
        drift_noise=noise,
        new_symbols=int(np.count_nonzero((first == 0) & (last > 0))),
        order=None if boundary is not None else line_order(encoded),
        files=file_order(encoded),
        is_records=boundary is not None,
    )


def drift_bits(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[float, float]:
    """The divergence of the symbol counts `last` from `first`, both (id,), in bits per character, and its expectation
    under chance.

    The Kullback-Leibler divergence of the frequencies of `last` from those of `first`, half an occurrence added to
    each symbol of the latter; by chance it is about (symbols - 1) / 2 * (1/n_first + 1/n_last) nats.
    """
    seen = first + last > 0
    a, b = first[seen] + 0.5, last[seen].astype(np.float64)
    if not first.sum() or not b.sum():
        return 0.0, 0.0
    p, q = a / a.sum(), b / b.sum()
    there = q > 0
    drift = float(np.sum(q[there] * np.log2(q[there] / p[there])))
    noise = (len(q) - 1) / 2 * (1 / a.sum() + 1 / b.sum()) / math.log(2)
    return max(drift, 0.0), float(noise)


def _counts(encoded: EncodedText) -> tuple[NDArray[np.int64], NDArray[np.int64], RepeatedLines]:
    """Counts of each id in the first nine tenths and in the last tenth, and the lines."""
    vocabulary = encoded.vocabulary
    end = vocabulary.boundary
    if end is None and "\n" in vocabulary.characters:
        end = vocabulary.characters.index("\n") + 1
    lines = RepeatedLines(len(vocabulary), end)
    cut = len(encoded) - len(encoded) // 10
    first, last = (np.zeros(len(vocabulary), np.int64) for _ in range(2))
    for counts, ids in ((first, encoded.ids[:cut]), (last, encoded.ids[cut:])):
        for block in _blocks(ids, encoded):
            counts += np.bincount(block, minlength=len(vocabulary))
            lines.add(block)
    lines.end()
    return first, last, lines


def _blocks(ids: Ids, encoded: EncodedText) -> Iterator[Ids]:
    for start in range(0, len(ids), _BLOCK):
        yield ids[start : start + _BLOCK]
        if start % _RELEASE == 0:
            encoded.release()


def _size(report: CorpusReport) -> Iterator[str]:
    lines = _count(report.lines, "record" if report.is_records else "line")
    yield f"{report.characters:,} characters, {report.symbols:,} symbols, {lines}."


def _order(report: CorpusReport) -> Iterator[str]:
    order = report.order
    if order is None:
        return
    if order.records == "lines":
        yield (
            f"These lines look like records, not like one text: {_why_records(order)}. Read as one stream, losses and "
            "what is written would mislead: train with --records lines."
        )
    elif order.records is not None:
        yield f"These look like records with {order.records!r} between two: train with --records {order.records!r}."
    if order.is_sorted and order.records in (None, "lines"):
        yield (
            f"{_percent(order.ascending)} of neighbouring lines are in sorted order, in runs of {order.run:,.0f}: "
            "the end of the text is no fair sample of it, so a validation loss there is wrong."
        )


def _files(report: CorpusReport) -> Iterator[str]:
    found = report.files
    if found is None or (report.order is not None and report.order.records is not None):
        return
    if found.gain is not None and found.are_records:
        yield (
            f"These {found.files:,} files of {found.characters:,.0f} characters on average look like records, not like "
            f"one text: a file tells {max(found.gain, 0):.2f} bits of how the next begins. Train with --records files."
        )
    else:
        yield (
            f"There are {found.files:,} files: --hold-out files validates on whole ones, drawn from all of them, "
            "instead of on the last."
        )


def _why_records(order: LineOrder) -> str:
    if not order.is_told:
        return f"a line tells {max(order.gain, 0):.2f} of the {order.bits:.0f} bits of the next"
    if order.is_sorted:
        return "they are sorted"
    return f"{_percent(order.digits)} of their characters are digits, as in a log or a table"


def _rarity(report: CorpusReport) -> Iterator[str]:
    share = report.unknown_characters / report.characters
    if report.merged_symbols:
        yield (
            f"{_count(report.merged_symbols, 'symbol')} too rare for --min-count became the unknown character: "
            f"{_percent(share)} of the text."
        )
    elif report.unknown_characters:
        yield f"{_count(report.unknown_characters, 'character')} ({_percent(share)}) are unknown to the vocabulary."
    if report.rare_symbols:
        rare = report.rare_characters / report.characters
        many = report.rare_symbols > report.symbols / 10 and rare < 0.5 and not report.merged_symbols
        remark = f"; --min-count {RARE} would make them unknown" if many else ""
        seen = f"{_count(report.rare_symbols, 'symbol')} seen fewer than {RARE} times"
        yield f"{seen}, {_percent(rare)} of the text{remark}."


def _repetition(report: CorpusReport) -> Iterator[str]:
    if not report.repeated_lines:
        return
    share = report.repeated_lines / report.long_lines
    found = (
        f"{report.repeated_lines:,} of {report.long_lines:,} {'records' if report.is_records else 'lines'} of "
        f"{LONG_LINE} characters or more ({_percent(share)}) repeat an earlier one"
    )
    if share < REPEATED_SHARE or report.is_records:  # equal records are all on one side of the split
        yield f"{found}."
    else:
        yield f"{found}: copies in the validation part make its loss look better; remove them first if that matters."


def _drift(report: CorpusReport) -> Iterator[str]:
    if report.is_records:  # which are held out at random
        return
    cost = f"{report.drift_bits:.3f} bits per character"
    if report.drift_noise > DRIFT_BITS:
        yield "The last tenth is too short to be compared with the rest."
    elif report.drift_bits <= DRIFT_BITS + 3 * report.drift_noise:
        yield f"The last tenth has the same distribution of symbols as the rest (drift {cost})."
    else:
        yield (
            f"The last tenth differs from the rest (drift {cost}): the validation loss there says more about that "
            "change than about the network; check the end of the text, or shuffle its parts."
        )
    if report.new_symbols:
        new = _count(report.new_symbols, "symbol")
        yield f"{new} only in the last tenth: a network trained on the rest never sees them."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"

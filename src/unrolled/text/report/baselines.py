"""What a text costs without a network: compressors and counted characters, each given the training part first.

`baselines` is the one place where such a figure enters: everything that prints or stores them reads its result.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from unrolled.text.baselines.compressors import WINDOW, compressors, encoded, xz_bits
from unrolled.text.encoded import EncodedText
from unrolled.text.sample import Sample

_PIECE = 1 << 18
TRIAL = 1 << 16
"""Characters from which it is told how long the baselines will take."""


@dataclass(frozen=True)
class Baseline:
    """Bits per character of a text under one method."""

    name: str
    bits: float | None
    """Of the text alone; None for a method that needs a training part."""
    primed_bits: float
    """After the training part, as the network is measured too."""


def baselines(text: EncodedText, sample: Sample, counts: float, window: int = WINDOW) -> tuple[Baseline, ...]:
    """The baselines of a sample, its pieces joined, told up to `window` characters that stand before the first.

    8 MB, the default, are what the best compressor can use at all. `counts` are the bits of counted characters, which
    whoever asks has found out already.
    """
    start = int(sample.starts[0])
    told = b"".join(map(encoded, _pieces(text, Sample.cut(max(0, start - window), start, 1))))
    found = [
        Baseline(name, bits(_pieces(text, sample), b""), bits(_pieces(text, sample), told))
        for name, bits in compressors().items()
    ]
    return (*found, Baseline("counts", None, counts))


def seconds_per_character(text: EncodedText) -> float:
    """About how long `baselines` takes for a character, from xz, which takes half of it, on the beginning of the text.

    A character before those that are measured counts twice, a measured one three times.
    """
    piece = text.vocabulary.decode(text.ids[:TRIAL])
    before = time.perf_counter()
    xz_bits(piece)
    return 2 * (time.perf_counter() - before) / len(piece)


def verdict(bits: float, found: tuple[Baseline, ...]) -> str:
    """One sentence on what a model of so many bits per character is worth beside them."""
    best = min(found, key=lambda baseline: baseline.primed_bits)
    told = f"{best.name} given the training part: {best.primed_bits:.3f} bits per character"
    if bits < best.primed_bits:
        return f"The model is better than all of these; the next is {told}."
    kind = "Counting" if best.bits is None else "A compressor"
    return (
        f"{kind} does better ({told}, the model {bits:.3f}): train longer or a larger network; "
        "where the text repeats itself, copying wins."
    )


def _pieces(text: EncodedText, sample: Sample) -> Iterator[str]:
    for start, end in sample:
        for first in range(start, end, _PIECE):
            yield text.vocabulary.decode(text.ids[first : min(end, first + _PIECE)])
            text.release()

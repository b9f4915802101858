"""The character n-grams of names as sparse numbers, weighed by how few names have them; of sets their members.

NumPy and SciPy only. Left out: what vectors they have (`spelling`).
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

LENGTHS = (2, 3, 4)
MAX_CHARACTERS = 1000
"""Of a longer string only so many characters are read."""
MAX_NGRAMS = 1 << 16
"""If there are more, those that stand in the fewest names are left out."""


@dataclass(frozen=True)
class NGrams:
    """The n-grams that a table's names have: `hashes` uint32 (n-gram,), rising, and `weights` float32 (n-gram,).

    A weight is the inverse document frequency, smoothed as scikit-learn does. With a `separator` names are sets, and
    their members stand in place of n-grams.
    """

    hashes: NDArray[np.uint32]
    weights: NDArray[np.float32]
    separator: str | None = None

    def features(self, names: Iterable[str]) -> Any:
        """Counts damped by a logarithm, times the weights, each row of length 1: sparse (name, n-gram), float64.

        N-grams that are not among these are left out; a name with none of these has an empty row.
        """
        count, owner, hashes = _parts(names, self.separator)
        place = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        known = self.hashes[place] == hashes
        entries = (np.ones(int(known.sum())), (owner[known], place[known]))
        counts = sparse.coo_matrix(entries, shape=(count, len(self.hashes))).tocsr()  # equal places are summed
        counts.data = (1 + np.log(counts.data)) * self.weights[counts.indices]
        lengths = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
        counts.data /= np.repeat(np.maximum(lengths, np.finfo(float).tiny), np.diff(counts.indptr))
        return counts


def fit_ngrams(names: Iterable[str], separator: str | None = None) -> NGrams:
    """The n-grams of `names`, or their members between a `separator`."""
    count, owner, hashes = _parts(names, separator)
    known, place = np.unique(hashes, return_inverse=True)
    stands = sparse.coo_matrix((np.ones(len(place), np.int32), (owner, place)), shape=(count, len(known))).tocsr()
    documents = np.bincount(stands.indices, minlength=len(known))
    if len(known) > MAX_NGRAMS:
        kept = np.sort(np.argsort(-documents, kind="stable")[:MAX_NGRAMS])
        known, documents = known[kept], documents[kept]
    weights = np.log((1 + count) / (1 + documents)) + 1
    return NGrams(known, weights.astype(np.float32), separator)


def normal_form(name: str) -> str:
    """`name` as it is compared: compatible characters unified (NFKC), without case, blanks at most one in a row."""
    return " ".join(unicodedata.normalize("NFKC", name[:MAX_CHARACTERS]).casefold().split())


def members(text: str, separator: str) -> list[str]:
    """The normal forms of what stands in `text` between separators, empty ones left out."""
    return [member for part in text.split(separator) if (member := normal_form(part))]


def _parts(names: Iterable[str], separator: str | None) -> tuple[int, NDArray[np.int64], NDArray[np.uint32]]:
    """As `_ngrams`, or of the members of sets."""
    if separator is None:
        return _ngrams(names)
    sets = [members(name, separator) for name in names]
    hashes = np.array([zlib.crc32(member.encode()) for one in sets for member in one], dtype=np.uint32)
    return len(sets), np.repeat(np.arange(len(sets)), list(map(len, sets))), hashes


def _ngrams(names: Iterable[str]) -> tuple[int, NDArray[np.int64], NDArray[np.uint32]]:
    """How many names there are, and of each n-gram in them the name's position and the hash.

    An n-gram is 2 to 4 characters in a row of the normal form between two blanks, so that beginnings and ends differ
    from what stands inside.
    """
    texts = [f" {text} " if text else "" for text in map(normal_form, names)]
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    characters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    owner, end = np.repeat(np.arange(len(texts)), lengths), np.repeat(np.cumsum(lengths), lengths)
    place = np.arange(len(characters))
    whole = [np.flatnonzero(place + n <= end) for n in LENGTHS]
    hashes = [_hashed(characters, starts, n) for starts, n in zip(whole, LENGTHS, strict=True)]
    return len(texts), np.concatenate([owner[starts] for starts in whole]), np.concatenate(hashes)


def _hashed(characters: NDArray[np.uint64], starts: NDArray[np.int64], n: int) -> NDArray[np.uint32]:
    """The hash of the `n` characters from each of `starts` on: FNV-1a over code points, mixed, its upper half."""
    value = np.full(len(starts), 0xCBF29CE484222325 + n, dtype=np.uint64)
    for i in range(n):
        value = (value ^ characters[starts + i]) * np.uint64(0x100000001B3)
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return (value >> np.uint64(32)).astype(np.uint32)

"""The corpus that a recipe asks for, read as one text or as records, and its parts. Left out: PyTorch, encoding."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unrolled.errors import InputError
from unrolled.learn.recipe import Recipe
from unrolled.learn.request import Request
from unrolled.model.members import COUNTS
from unrolled.text.corpus import Corpus, open_corpus, text_corpus
from unrolled.text.encoded import EncodedText
from unrolled.text.records import FILES, LINES, cut_text, known_boundary, record_corpus
from unrolled.text.sources import Source
from unrolled.text.windows import Split

MIXING = 1 / 32
"""Of the training part, the share that is held out for a gate."""


def corpus_of(request: Request) -> Corpus:
    """The corpus that is asked for; at its end what is held out by files, if anything is.

    Raises InputError where there is no text, and where a part is given twice.
    """
    recipe, valid, test_file = request.recipe, request.valid, request.test_file
    by_file = recipe.hold_out == FILES
    if valid is not None and (recipe.test or by_file or "validation" in recipe.changes()):
        raise InputError("a file to validate on replaces --validation, --test and --hold-out: leave them out")
    if test_file is not None and (recipe.test or by_file):
        raise InputError("a file to test on replaces --test and --hold-out: leave them out")
    corpus = _opened(request, request.sources, request.text)
    if by_file:
        corpus = _with_files_held_out(corpus, recipe.validation, recipe.test)
    elif valid is not None or test_file is not None:
        parts = [() if path is None else _opened(request, [path]).sources for path in (valid, test_file)]
        corpus = _with_held_out(corpus, corpus.sources, *parts)
    return corpus if recipe.records is None else record_corpus(corpus, recipe.records, recipe.label_column)


def _opened(request: Request, sources: Sequence[str | Path], text: str | None = None) -> Corpus:
    recipe = request.recipe
    normalize = recipe.normalize is not None
    if text is not None:
        return text_corpus(text, lower=recipe.lower, normalize=normalize, mask=recipe.mask)
    if not sources:
        raise InputError("no text was given: name files, folders, '-' for standard input, or a named set")
    return open_corpus(
        sources, encoding=request.encoding or "utf-8", lower=recipe.lower, errors=recipe.errors, normalize=normalize,
        mask=recipe.mask, tables=recipe.records not in (None, LINES, FILES),
    )  # fmt: skip


def _with_held_out(corpus: Corpus, train: Sequence[Source], *held_out: Sequence[Source]) -> Corpus:
    """`corpus` of these sources, of which the last are the validation part and after them the test part."""
    validation, test = held_out
    return replace(corpus, sources=(*train, *validation, *test), held_out=(len(validation), len(test)))


def _with_files_held_out(corpus: Corpus, validation: float, test: float) -> Corpus:
    """Shares of the files drawn by the hashes of their content: copies of one file are in the same part."""
    different, numbers = np.unique([_hash(source) for source in corpus.sources], return_inverse=True)
    ends = np.cumsum([max(1, round(share * len(different))) if share else 0 for share in (validation, test)])
    if ends[-1] >= len(different):
        raise InputError(
            f"there are too few different files ({len(different):,}) to hold out some of them: leave --hold-out away, "
            "and the end of the text is held out"
        )
    part = np.searchsorted(ends, numbers, side="right")  # validation, test, training
    drawn = [
        [source for source, own in zip(corpus.sources, part, strict=True) if own == number] for number in (2, 0, 1)
    ]
    return _with_held_out(corpus, *drawn)


def _hash(source: Source) -> str:
    digest = hashlib.sha256()
    for block, _ in source.blocks():
        digest.update(block)
    return digest.hexdigest()


def split_text(recipe: Recipe, text: EncodedText, mixing: float = MIXING) -> tuple[EncodedText, Split]:
    """The text in the order of its parts, and the parts.

    Where a gate may be fitted, a share `mixing` of the training part is held out for it. Raises InputError where a part
    would be empty.
    """
    assert text.corpus is not None
    if recipe.with_ == "none" or recipe.rung == COUNTS:
        mixing = 0.0
    boundary = None if recipe.records is None else known_boundary(text.vocabulary)
    validation, test = text.corpus.held_out
    first, second = (
        len(text) - (sum(map(len, text.corpus.last(count).pieces())) - (boundary is not None) if count else 0)
        for count in (validation + test, test)
    )  # a corpus of records begins with a boundary, which stands at the end of the part before it too
    shares = (0.0 if validation else recipe.validation, 0.0 if validation or test else recipe.test)
    told, parts = cut_text(text.ids[:first], boundary, *shares, mixing, text.vocabulary.label_end)
    ids = text.ids if np.may_share_memory(told, text.ids) else np.concatenate([told, text.ids[first:]])
    if validation:
        parts = replace(parts, validation=ids[first:second])
    if test:
        parts = replace(parts, test=ids[second:])
    return replace(text, ids=ids), parts

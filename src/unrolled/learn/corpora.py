"""The corpus that a recipe asks for: sources or a text, read as one text or as records. Left out: PyTorch, encoding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unrolled.errors import InputError
from unrolled.learn.recipe import Recipe
from unrolled.text.corpus import Corpus, open_corpus, text_corpus
from unrolled.text.records import FILES, LINES, record_corpus


def corpus_of(recipe: Recipe, sources: Sequence[str | Path], text: str | None, encoding: str | None) -> Corpus:
    """The corpus of `sources`, or of the `text` itself. Raises InputError where there is neither."""
    normalize = recipe.normalize is not None
    if text is not None:
        corpus = text_corpus(text, lower=recipe.lower, normalize=normalize, mask=recipe.mask)
    elif sources:
        corpus = open_corpus(
            sources, encoding=encoding or "utf-8", lower=recipe.lower, errors=recipe.errors, normalize=normalize,
            mask=recipe.mask, tables=recipe.records not in (None, LINES, FILES),
        )  # fmt: skip
    else:
        raise InputError("no text was given: name files, folders, '-' for standard input, or a named set")
    return corpus if recipe.records is None else record_corpus(corpus, recipe.records, recipe.label_column)

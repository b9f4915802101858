"""The rung `counts`: a model without a network, in about a second a megabyte. NumPy alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from unrolled.errors import InputError
from unrolled.files import write_folder
from unrolled.learn.recipe import Recipe
from unrolled.learn.summary import Summary
from unrolled.model.folder import ModelParts, counts_alone
from unrolled.model.members import COUNTS
from unrolled.model.novelty import WINDOWS, windows_file
from unrolled.text.corpus import open_corpus, text_corpus
from unrolled.text.counts import CountModel
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.report.baselines import baselines, verdict
from unrolled.text.vocabulary import Ids
from unrolled.text.windows import split

SETTINGS = frozenset(
    {"rung", "validation", "test", "min_count", "lower", "errors", "normalize", "mask", "seed", "with_"}
)
"""The settings that mean something without a network."""
TRAIN_SAMPLE = 100_000


def count_text(
    sources: Sequence[str | Path],
    out: str | Path | None,
    recipe: Recipe,
    *,
    text: str | None = None,
    given: Collection[str] = (),
    encoding: str | None = None,
    on_text: Callable[[EncodedText], None] = lambda text: None,
) -> tuple[Summary, ModelParts]:
    """Count the training part of a text, measure the rest, and write the model folder `out` if it is given.

    Raises InputError for settings `given` that only a network has.
    """
    if foreign := sorted(set(given) - SETTINGS):
        raise InputError(f"the rung counts has no network, so it has no {', '.join(foreign)}: leave it out")
    if text is None and not sources:
        raise InputError("no text was given: name files, folders, '-' for standard input, or a named set")
    lower, normalize = recipe.lower, recipe.normalize is not None
    corpus = (
        text_corpus(text, lower=lower, normalize=normalize, mask=recipe.mask)
        if text is not None
        else open_corpus(
            sources,
            encoding=encoding or "utf-8",
            lower=lower,
            errors=recipe.errors,
            normalize=normalize,
            mask=recipe.mask,
        )
    )
    encoded = encode_corpus(corpus, min_count=recipe.min_count)
    on_text(encoded)
    start = time.perf_counter()
    cut = split(encoded.ids, recipe.validation, recipe.test)
    counts = CountModel.count(cut.train, len(encoded.vocabulary), release=encoded.release)
    tested = [*cut.train[-8:], *cut.validation[-8:]][-8:]
    validation = _loss(counts, cut.validation, cut.train[-8:])
    start_of, end_of = len(cut.train), len(cut.train) + len(cut.validation)
    found = baselines(encoded, start_of, end_of, validation["bits"])
    summary = Summary(
        run=None if out is None else Path(out), rung=recipe.rung, characters=len(encoded),
        vocabulary=len(encoded.vocabulary), parameters=counts.entries, characters_seen=len(cut.train),
        train=_loss(counts, cut.train[-TRAIN_SAMPLE:], ()), validation=validation,
        test=_loss(counts, cut.test, tested) if len(cut.test) else None,
        members={COUNTS: validation["nats"]}, seconds=time.perf_counter() - start,
        validation_characters=len(cut.validation), epochs=1.0, best_epoch=1.0, baselines=found,
        verdict=verdict(validation["bits"], found[:-1]),
        mixing=f"contexts of up to {counts.order} characters, {counts.entries:,} n-grams",
    )  # fmt: skip
    model = counts_alone(encoded.vocabulary, counts, _training(encoded, sources, recipe, summary))
    if out is not None:
        write_folder(Path(out), model.to_files() | {WINDOWS: windows_file(cut.train)})
    return summary, model


def _loss(counts: CountModel, ids: Ids, before: Ids | Sequence[int]) -> dict[str, float]:
    nats = float(counts.nats(ids, before).mean())
    return {"nats": nats, "bits": nats / math.log(2)}


def _training(text: EncodedText, sources: Sequence[str | Path], recipe: Recipe, summary: Summary) -> dict[str, Any]:
    return {
        "corpus": {"sha256": text.sha256, "characters": len(text), "sources": [str(source) for source in sources]},
        "recipe": {name: value for name, value in recipe.to_json().items() if name in SETTINGS},
        "losses": {name: loss for name, loss in summary.to_json().items() if name in ("train", "validation", "test")},
        "seconds": round(summary.seconds, 1),
        "characters_seen": summary.characters_seen,
    }

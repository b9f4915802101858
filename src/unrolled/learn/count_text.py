"""The rung `counts`: a model without a network, in about a second a megabyte. NumPy alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from unrolled.errors import InputError
from unrolled.files import write_folder
from unrolled.learn.calibration import calibrated
from unrolled.learn.corpora import corpus_of, split_text
from unrolled.learn.recipe import Recipe
from unrolled.learn.summary import Summary
from unrolled.model.folder import ModelParts, counts_alone
from unrolled.model.members import COUNTS
from unrolled.model.novelty import novelty_files
from unrolled.text.counts.model import CountModel
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.records import label_counts
from unrolled.text.report.baselines import baselines, verdict
from unrolled.text.windows import Split

SETTINGS = frozenset(
    {"rung", "validation", "test", "min_count", "lower", "errors", "normalize", "mask", "seed", "with_"}
    | {"records", "label_column", "hold_out"}
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
    valid: str | Path | None = None,
    test_file: str | Path | None = None,
    encoding: str | None = None,
    on_text: Callable[[EncodedText], None] = lambda text: None,
) -> tuple[Summary, ModelParts]:
    """Count the training part of a text, measure the rest, and write the model folder `out` if it is given.

    Raises InputError for settings `given` that only a network has.
    """
    if foreign := sorted(set(given) - SETTINGS):
        raise InputError(f"the rung counts has no network, so it has no {', '.join(foreign)}: leave it out")
    encoded = encode_corpus(corpus_of(recipe, sources, text, encoding, valid, test_file), min_count=recipe.min_count)
    on_text(encoded)
    start = time.perf_counter()
    encoded, cut = split_text(recipe, encoded)
    ids, letters, boundary = encoded.ids, encoded.vocabulary.letters, encoded.vocabulary.boundary
    counts = CountModel.count(
        cut.train, len(encoded.vocabulary), letters=letters, boundary=boundary, release=encoded.release
    )
    start_of, end_of = len(cut.train), len(cut.train) + len(cut.validation)

    def loss(first: int, end: int) -> dict[str, float]:
        nats = float(counts.nats(ids[first:end], ids[max(0, first - counts.reach) : first], boundary).mean())
        return {"nats": nats, "bits": nats / math.log(2)}

    validation = loss(start_of, end_of)
    found = baselines(encoded, cut.sample(ids, "validation", boundary=boundary), validation["bits"])
    summary = Summary(
        run=None if out is None else Path(out), rung=recipe.rung, characters=len(encoded),
        vocabulary=len(encoded.vocabulary), parameters=counts.entries, characters_seen=len(cut.train),
        train=loss(max(0, start_of - TRAIN_SAMPLE), start_of), validation=validation,
        test=loss(end_of, len(ids)) if len(cut.test) else None,
        members={COUNTS: validation["nats"]}, seconds=time.perf_counter() - start,
        validation_characters=len(cut.validation), epochs=1.0, best_epoch=1.0, baselines=found,
        verdict=verdict(validation["bits"], found[:-1]),
        mixing=f"contexts of up to {counts.order} characters and two words, {counts.entries:,} n-grams",
    )  # fmt: skip
    model = counts_alone(encoded.vocabulary, counts, _training(encoded, cut, sources, recipe, summary))
    model = calibrated(model, cut.validation)
    if out is not None:
        write_folder(Path(out), model.to_files() | novelty_files(ids, boundary, start_of))
    return summary, model


def _training(
    text: EncodedText, cut: Split, sources: Sequence[str | Path], recipe: Recipe, summary: Summary
) -> dict[str, Any]:
    return {
        "corpus": {"sha256": text.sha256, "characters": len(text), "sources": [str(source) for source in sources]},
        "recipe": {name: value for name, value in recipe.to_json().items() if name in SETTINGS},
        "labels": label_counts(cut.train, text.vocabulary),
        "losses": {name: loss for name, loss in summary.to_json().items() if name in ("train", "validation", "test")},
        "seconds": round(summary.seconds, 1),
        "characters_seen": summary.characters_seen,
    }

"""The rung `counts`: a model without a network, in about a second a megabyte. NumPy alone."""

from __future__ import annotations

import math
import time
from pathlib import Path

from unrolled.errors import InputError
from unrolled.files import write_folder
from unrolled.learn.corpora import corpus_of, split_text
from unrolled.learn.request import Request
from unrolled.learn.summary import Summary, concluded, finished_files
from unrolled.model.folder import ModelParts, counts_alone
from unrolled.model.members import COUNTS
from unrolled.text.counts.model import CountModel
from unrolled.text.encoded import encode_corpus
from unrolled.text.report.baselines import baselines, verdict

SETTINGS = frozenset(
    {"rung", "validation", "test", "min_count", "lower", "errors", "normalize", "mask", "seed", "with_"}
    | {"records", "label_column", "hold_out"}
)
"""The settings that mean something without a network."""
TRAIN_SAMPLE = 100_000


def count_text(request: Request) -> tuple[Summary, ModelParts]:
    """Count the training part of a text, measure the rest, and write the model folder where one is asked for.

    Raises InputError for settings that only a network has.
    """
    if foreign := sorted(set(request.given or ()) - SETTINGS):
        raise InputError(f"the rung counts has no network, so it has no {', '.join(foreign)}: leave it out")
    recipe = request.recipe
    encoded = encode_corpus(corpus_of(request), min_count=recipe.min_count)
    request.on_text(encoded)
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
        run=None if request.out is None else Path(request.out), rung=recipe.rung, characters=len(encoded),
        vocabulary=len(encoded.vocabulary), parameters=counts.entries, characters_seen=len(cut.train),
        train=loss(max(0, start_of - TRAIN_SAMPLE), start_of), validation=validation,
        test=loss(end_of, len(ids)) if len(cut.test) else None,
        members={COUNTS: validation["nats"]}, seconds=time.perf_counter() - start,
        validation_characters=len(cut.validation), epochs=1.0, best_epoch=1.0, baselines=found,
        verdict=verdict(validation["bits"], found[:-1]),
        mixing=f"contexts of up to {counts.order} characters and two words, {counts.entries:,} n-grams",
    )  # fmt: skip
    facts = {"recipe": {name: value for name, value in recipe.to_json().items() if name in SETTINGS}}
    model = counts_alone(encoded.vocabulary, counts, {})
    model = concluded(model, encoded, cut, summary, request.sources, facts)
    if summary.run is not None:
        write_folder(summary.run, finished_files(model, encoded, cut))
    return summary, model

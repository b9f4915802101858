"""Nietzsche, lower-cased, last fifth as validation: the lesson's best loss for a quarter of its multiply-adds.

The lesson reached 1.2524 nats after 80 epochs of an LSTM of 2 x 512 with embedding 42. Here several small networks that
differ in nothing but their seed are trained, and their probabilities are averaged. Multiply-adds are counted as the
matrix products of the networks, forward and backward (three times forward); ours also count those of Muon's orthogonal
factors. Left out: the clock, which says more about machines than about recipes.

    python -m benchmarks.nietzsche [--networks N]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.texts import text
from unrolled.learn.optimizers import MINIMAX
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.train import prepare
from unrolled.model.char_model import CharModel

PUBLISHED, EPOCHS, SHARE = 1.2524, 80, 0.25
NETWORKS = 8
RECIPE = Recipe(lower=True, validation=0.2, min_count=3, hidden=256, epochs=6, dropout=0.0, evaluations=8)


def lstm_multiply_adds(embedding: int, hidden: int, layers: int, vocabulary: int) -> int:
    """Of one character, forward."""
    inputs = [embedding] + [hidden] * (layers - 1)
    return sum(4 * hidden * (size + hidden) for size in inputs) + hidden * vocabulary


def muon_multiply_adds(rows: int, columns: int) -> int:
    """Of one orthogonal factor: the Gram matrix, its polynomial steps, and the product with the matrix."""
    shorter, longer = sorted((rows, columns))
    small = shorter**3
    return 2 * longer * shorter**2 + len(MINIMAX) * small + (len(MINIMAX) - 1) * 3 * small


def main(networks: int = NETWORKS) -> dict[str, Any]:
    """Train, average, count, compare; one line as each network joins."""
    mean, share, rows = 0.0, 0.0, []
    for seed in range(networks):
        probabilities, cost = trained(replace(RECIPE, seed=seed))
        mean, share = mean + (probabilities - mean) / (seed + 1), share + cost
        alone, together = (float(-np.log(p).mean()) for p in (probabilities, mean))
        rows.append({"networks": seed + 1, "alone": alone, "nats": together, "multiply_adds_share": share})
        print(f"{seed + 1} networks: {together:.4f} nats (the last alone {alone:.4f}), share {share:.3f}", flush=True)
    return {
        "benchmark": "nietzsche, lower-cased, last fifth", "rows": rows, "published": PUBLISHED, "reach": SHARE,
        "reached": any(row["nats"] <= PUBLISHED and row["multiply_adds_share"] <= SHARE for row in rows),
    }  # fmt: skip


def trained(recipe: Recipe) -> tuple[Any, float]:
    """The probability that one network gives to each character of the validation part, and its multiply-adds."""
    session = prepare([text("nietzsche")], None, recipe, Machine(device="cpu"), notify=print)
    for _ in session.run():
        pass
    summary, parts = session.finish()
    validation = parts.vocabulary.decode(session.task.split.validation)
    score = CharModel(parts).score(validation, unknown="replace")
    assert score.each is not None
    return np.exp(-score.each.astype(np.float64)), _ours(session, summary) / _lesson(session)


def _ours(session: Any, summary: Any) -> float:
    recipe = session.state.recipe
    one = lstm_multiply_adds(recipe.embedding, recipe.hidden, recipe.layers, summary.vocabulary)
    factors = sum(muon_multiply_adds(*matrix.shape) for matrix in session.optimizer.parts["muon"].matrices)
    return float(3 * one * summary.characters_seen + factors * session.state.progress.step)


def _lesson(session: Any) -> float:
    characters = EPOCHS * len(session.task.split.train)
    return float(3 * lstm_multiply_adds(42, 512, 2, 55) * characters)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=NETWORKS)
    print(json.dumps(main(**vars(parser.parse_args()))))

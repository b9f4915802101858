"""Nietzsche, lower-cased, last fifth as validation: the lesson's best loss for a quarter of its multiply-adds.

The lesson reached 1.2524 nats after 80 epochs of an LSTM of 2 x 512 with embedding 42. Multiply-adds are counted as the
matrix products of the network, forward and backward (three times forward); ours also count those of Muon's orthogonal
factors. Left out: the clock, which says more about machines than about recipes.

    python -m benchmarks.nietzsche
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.texts import text
from unrolled.learn.optim import MINIMAX
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.training import prepare

PUBLISHED, EPOCHS, SHARE = 1.2524, 80, 0.25
RECIPE = Recipe(
    lower=True, validation=0.2, min_count=3, hidden=512, epochs=16, dropout=0.5, weight_decay=0.05, evaluations=16
)


def lstm_multiply_adds(embedding: int, hidden: int, layers: int, vocabulary: int) -> int:
    """Of one character, forward."""
    inputs = [embedding] + [hidden] * (layers - 1)
    return sum(4 * hidden * (size + hidden) for size in inputs) + hidden * vocabulary


def muon_multiply_adds(rows: int, columns: int) -> int:
    """Of one orthogonal factor: the Gram matrix, its polynomial steps, and the product with the matrix."""
    shorter, longer = sorted((rows, columns))
    small = shorter**3
    return 2 * longer * shorter**2 + len(MINIMAX) * small + (len(MINIMAX) - 1) * 3 * small


def main() -> dict[str, Any]:
    """Train, count, compare."""
    session = prepare([text("nietzsche")], None, RECIPE, Machine(device="cpu"), notice=print)
    for record in session.run():
        if record.validation is not None:
            print(f"{record.seconds:6.1f} s  {record.validation:.4f} nats", flush=True)
    summary, _ = session.finish()
    ours, lesson = _ours(session, summary), _lesson(session)
    nats = summary.validation["nats"]
    return {
        "benchmark": "nietzsche, lower-cased, last fifth", "nats": nats, "published": PUBLISHED,
        "multiply_adds_share": ours / lesson, "reach": SHARE, "seconds": summary.seconds,
        "reached": nats <= PUBLISHED and ours / lesson <= SHARE,
    }  # fmt: skip


def _ours(session: Any, summary: Any) -> float:
    recipe = session.recipe
    one = lstm_multiply_adds(recipe.embedding, recipe.hidden, recipe.layers, summary.vocabulary)
    factors = sum(muon_multiply_adds(*matrix.shape) for matrix in session.optimizer.parts["muon"].matrices)
    return float(3 * one * summary.characters_seen + factors * session.progress.step)


def _lesson(session: Any) -> float:
    characters = EPOCHS * len(session.task.split.train)
    return float(3 * lstm_multiply_adds(42, 512, 2, 55) * characters)


if __name__ == "__main__":
    print(json.dumps(main()))

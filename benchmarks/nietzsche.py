"""Nietzsche, lower-cased, last fifth as validation: the lesson's best loss for a quarter of its multiply-adds.

The lesson reached 1.2524 nats after 80 epochs of an LSTM of 2 x 512 with embedding 42. Here a committee of small
networks of other seeds is trained, with counts beside it. Multiply-adds are counted as the matrix products of the
networks, forward and backward (three times forward); ours also count those of Muon's orthogonal factors. Left out: the
clock, which says more about machines than about recipes.

    python -m benchmarks.nietzsche [--networks N]
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from benchmarks.texts import text
from unrolled import train
from unrolled.learn.optimizers import MINIMAX
from unrolled.learn.recipe import Recipe, RecipeSettings
from unrolled.learn.summary import Summary

PUBLISHED, EPOCHS, SHARE = 1.2524, 80, 0.25
NETWORKS = 4
RECIPE: RecipeSettings = {
    "lower": True, "validation": 0.2, "min_count": 3, "hidden": 256, "epochs": 6, "dropout": 0.0, "evaluations": 8
}  # fmt: skip


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
    """Train a committee, count, compare."""
    summary = train([text("nietzsche")], networks=networks, device="cpu", **RECIPE).summary
    shares = _ours(summary) / (3 * lstm_multiply_adds(42, 512, 2, 55) * EPOCHS * 0.8 * summary.characters)
    reached = summary.members["networks"] <= PUBLISHED and shares <= SHARE
    return {
        "benchmark": "nietzsche, lower-cased, last fifth", "networks": networks, "nats": summary.members,
        "multiply_adds_share": shares, "published": PUBLISHED, "reach": SHARE, "reached": reached,
    }  # fmt: skip


def _ours(summary: Summary) -> float:
    recipe = Recipe()
    one = lstm_multiply_adds(recipe.embedding, RECIPE["hidden"], recipe.layers, summary.vocabulary)
    rows = 4 * RECIPE["hidden"]
    factors = muon_multiply_adds(rows, recipe.embedding) + muon_multiply_adds(rows, RECIPE["hidden"])
    return summary.characters_seen * (3 * one + factors / (recipe.streams * recipe.length))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=NETWORKS)
    print(json.dumps(main(**vars(parser.parse_args()))))

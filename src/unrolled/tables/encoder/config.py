"""Every setting of the network and its training once, as frozen presets.

`default` is the one that was measured to be fast and accurate (docs/experiments.md), `quick` is for a first try, and
`guo-berkhahn` is the recipe of the paper (arXiv 1604.06737). Left out: what belongs to the table, such as dimensions
and validation rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unrolled.errors import InputError, unknown_name


@dataclass(frozen=True)
class Recipe:
    """How the networks behind the vectors are built and trained.

    Raises InputError for a number out of its range.
    """

    networks: int = 5
    """Networks trained side by side; their vectors are aligned and averaged."""
    hidden: tuple[int, ...] = (256, 128)
    """Widths of the hidden layers."""
    epochs: int = 10
    """Passes over the rows."""
    batch: int = 512
    """Rows a step; fewer where the table is so small that an epoch would be fewer than 16 steps."""
    least_steps: int = 300
    """Steps that even a small table gets."""
    learning_rate: float = 8e-3
    """Peak learning rate of the layers."""
    embedding_rate: float = 6.0
    """Learning rate of the embeddings, as a multiple of that of the layers: each row is met seldom."""
    decay_to_zero: bool = True
    """Whether the rate warms up over a twentieth of the steps and then falls to zero in a straight line."""
    second_moment: float = 0.99
    """Adam's beta2."""
    embedding_spread: float = 0.03
    """Standard deviation of the first vectors: small, so that a category without rows stays near the unknown one."""
    weight_decay: float = 0.0
    """AdamW's decay of the layers, relative to the learning rate."""
    dropout: float = 0.02
    """Share of the categories replaced by the unknown row in training, which trains that row."""
    strangers: float = 0.25
    """Share of the rows of a batch that are met a second time with one category unknown, mostly of a large column."""
    skip: bool = True
    """Whether the inputs also reach the output through a linear layer of their own."""
    loss: Literal["absolute", "squared"] = "absolute"
    """Loss of a regression on its scaled target."""
    output: Literal["linear", "sigmoid"] = "linear"
    """`sigmoid` is the paper's for a number, which is divided by its maximum; classes have logits either way."""
    measured: bool = True
    """Whether vectors and numbers are scaled by how far they move the prediction: distances then count in its units."""
    smooth: float = 1.0
    """Rows of shrinkage: a vector with n rows becomes (n v + smooth u) / (n + smooth), u the unknown row."""

    def __post_init__(self) -> None:
        for name in ("networks", "epochs", "batch", "least_steps", "learning_rate", "embedding_rate"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} of a recipe is {getattr(self, name)}, but must be above 0")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout of a recipe is {self.dropout}, but must be from 0 up to below 1")


RECIPES = {
    "default": Recipe(),
    "quick": Recipe(networks=2, hidden=(32,), epochs=5, least_steps=50),
    "guo-berkhahn": Recipe(
        networks=1, hidden=(1000, 500), epochs=10, batch=128, least_steps=1, learning_rate=1e-3, embedding_rate=1.0,
        decay_to_zero=False, second_moment=0.999, embedding_spread=0.029, dropout=0.0, strangers=0.0, skip=False,
        output="sigmoid", measured=False, smooth=0.0,
    ),
}  # fmt: skip


def find_recipe(recipe: str | Recipe) -> Recipe:
    """The preset of that name, or the recipe itself. Raises InputError, suggesting the nearest, for another name."""
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str) or recipe not in RECIPES:
        raise unknown_name("recipe", str(recipe), RECIPES)
    return RECIPES[recipe]

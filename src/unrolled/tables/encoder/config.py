"""Settings: of the networks and their training, as frozen presets; and of one fit, checked.

`default` was measured to be fast and accurate (docs/experiments.md), `quick` is for a first try, and `guo-berkhahn` is
the recipe of the paper (arXiv 1604.06737).
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from unrolled.errors import InputError, unknown_name

SMALL_TABLE, LARGE_TABLE = 50_000, 200_000
"""Rows below which more and smaller networks are as accurate in less time, and from which on fewer passes may do."""


@dataclass(frozen=True)
class EncoderConfig:
    """How the networks behind the vectors are built and trained.

    Raises InputError for a value out of its bounds.
    """

    networks: int | None = None
    """Networks trained side by side, their vectors aligned and averaged; None is 10 below 50,000 rows, else 5."""
    hidden: tuple[int, ...] | None = None
    """Widths of the hidden layers; None is 64 and 32 below 50,000 rows, else 256 and 128."""
    epochs: int | None = None
    """Passes over the rows; None is 10, and 4 from 200,000 rows on where a column has fewer than 100 rows per category:
    its vectors know them by heart by then."""
    batch: int = 512
    """Rows per step; fewer where the table is so small that an epoch would have fewer than 16 steps."""
    min_steps: int = 300
    """Steps that even a small table gets."""
    learning_rate: float = 8e-3
    """Peak learning rate of the layers."""
    embedding_rate: float = 6.0
    """Learning rate of the embeddings as a multiple of that of the layers: each row is in few batches."""
    decay_to_zero: bool = True
    """Whether the rate warms up over a twentieth of the steps and then falls linearly to zero."""
    beta2: float = 0.99
    """Adam's decay of the second moment."""
    embedding_std: float = 0.03
    """Standard deviation of the initial vectors: small, so that a category without rows stays near the unknown one."""
    weight_decay: float = 0.0
    """AdamW's decay of the layers, relative to the learning rate."""
    unknown_fraction: float = 0.02
    """Fraction of the categories replaced by the unknown row in training, which trains that row."""
    masked_fraction: float = 0.25
    """Fraction of the rows of a batch repeated with one category masked as unknown, mostly of a large column."""
    early_stopping: bool = True
    """Whether each network holds out a part of the rows, another one for each, and keeps what did best on it."""
    shown_masked: float = 0.1
    """Fraction of rows that `fit_transform` returns with one category masked as unknown, mostly of a large column."""
    skip: bool = True
    """Whether the inputs also reach the output through a linear layer of their own."""
    handed_on: float = 0.9
    """Share of the variance of a column's vectors that their handed on main axes hold; 1 hands on all dimensions."""
    target_means: bool = True
    """Whether the mean target of each category, learned from other rows, is handed on beside its vector."""
    normal_scores: bool = True
    """Whether the networks also read numbers as normal scores, which follow their order alone (see `Scaling`)."""
    loss: Literal["absolute", "squared"] | None = None
    """Loss of a regression on its scaled target; None is absolute where its logarithm is learned, squared elsewhere."""
    output: Literal["linear", "sigmoid"] = "linear"
    """`sigmoid` is the paper's for a number, which is divided by its maximum; classes have logits either way."""
    scale_by_sensitivity: bool = True
    """Whether vectors and numbers are scaled by how far they move the prediction: distances are in its units."""
    smoothing: float = 1.0
    """Rows of shrinkage: a vector with n rows becomes (n v + smoothing u) / (n + smoothing), u the unknown row."""

    def for_table(self, rows: int, scarce: bool, log: bool) -> EncoderConfig:
        """The config with the defaults for a table filled in: `scarce` where a column has few rows per category, `log`
        where the logarithm of the target is learned."""
        networks, hidden = (10, (64, 32)) if rows < SMALL_TABLE else (5, (256, 128))
        epochs = 4 if scarce and rows >= LARGE_TABLE else 10
        given = (self.networks or networks, self.hidden or hidden, self.epochs or epochs)
        loss: Literal["absolute", "squared"] = self.loss or ("absolute" if log else "squared")
        return replace(self, networks=given[0], hidden=given[1], epochs=given[2], loss=loss)

    def __post_init__(self) -> None:
        for name, (bounds, is_within) in BOUNDS.items():
            if getattr(self, name) is not None and not is_within(getattr(self, name)):
                raise InputError(f"{name} of a recipe is {getattr(self, name)!r}, but must be {bounds}")


Rule = tuple[str, Callable[[Any], bool]]

COUNT: Rule = ("a whole number of at least 1", lambda value: _is_whole(value) and value >= 1)
POSITIVE: Rule = ("a number above 0", lambda value: _is_number(value) and value > 0)
NOT_NEGATIVE: Rule = ("a number from 0 on", lambda value: _is_number(value) and value >= 0)
FRACTION: Rule = ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
BELOW_ONE: Rule = ("a number from 0 up to below 1", lambda value: _is_number(value) and 0 <= value < 1)
WIDTHS: Rule = ("whole numbers of at least 1", lambda value: all(COUNT[1](width) for width in value))
BOUNDS = {
    "networks": COUNT, "hidden": WIDTHS, "epochs": COUNT, "batch": COUNT, "min_steps": COUNT, "learning_rate": POSITIVE,
    "embedding_rate": POSITIVE, "beta2": BELOW_ONE, "embedding_std": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE, "unknown_fraction": BELOW_ONE, "masked_fraction": FRACTION, "shown_masked": FRACTION,
    "handed_on": FRACTION,
    "smoothing": NOT_NEGATIVE,
    "loss": ("'absolute' or 'squared'", ("absolute", "squared").__contains__),
    "output": ("'linear' or 'sigmoid'", ("linear", "sigmoid").__contains__),
}  # fmt: skip


def is_auto(value: object) -> bool:
    """Whether a parameter is left to its rule."""
    return isinstance(value, str) and value == "auto"


def _is_whole(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


PRESETS = {
    "default": EncoderConfig(),
    "quick": EncoderConfig(networks=2, hidden=(32,), epochs=5, min_steps=50),
    "guo-berkhahn": EncoderConfig(
        networks=1, hidden=(1000, 500), epochs=10, batch=128, min_steps=1, learning_rate=1e-3, embedding_rate=1.0,
        decay_to_zero=False, beta2=0.999, embedding_std=0.029, unknown_fraction=0.0, masked_fraction=0.0, skip=False,
        early_stopping=False, shown_masked=0.0, handed_on=1.0, target_means=False, normal_scores=False,
        loss="absolute", output="sigmoid", scale_by_sensitivity=False, smoothing=0.0,
    ),
}  # fmt: skip


def find_config(recipe: str | EncoderConfig) -> EncoderConfig:
    """The preset of that name, or the config itself. Raises InputError, suggesting the nearest, for another name."""
    if isinstance(recipe, EncoderConfig):
        return recipe
    if not isinstance(recipe, str) or recipe not in PRESETS:
        raise unknown_name("recipe", str(recipe), PRESETS)
    return PRESETS[recipe]


@dataclass(frozen=True)
class FitSettings:
    """The parameters of one fit of an `EntityEncoder`, under its names; `seed` was drawn from its `random_state`.

    Raises InputError for a value out of its bounds, except for those of a table's columns and rows (dimensions,
    categorical_features, validation, cv, spelling), which are checked against the table.
    """

    config: EncoderConfig
    seed: int
    dimensions: str | int | Mapping[str, int] = "auto"
    categorical_features: Any = "auto"
    min_frequency: float | None = None
    target_type: str = "auto"
    log_target: bool | str = "auto"
    n_networks: int | None = None
    validation: Any = "auto"
    cv: Any = "auto"
    spelling: Any = "auto"
    prediction: bool = True
    n_jobs: int | None = None
    verbose: int = 0

    def __post_init__(self) -> None:
        if self.n_networks is not None and not COUNT[1](self.n_networks):
            raise InputError(f"n_networks is {self.n_networks!r}, but must be None or {COUNT[0]}")
        if self.n_jobs is not None and not (COUNT[1](self.n_jobs) or self.n_jobs == -1):
            raise InputError(f"n_jobs is {self.n_jobs!r}, but must be None, -1 for every core, or {COUNT[0]}")

    @property
    def holds_out(self) -> bool:
        """Whether the networks hold out rows for early stopping, each its own."""
        return is_auto(self.validation) and self.config.early_stopping

    @property
    def networks(self) -> int:
        """Networks to train."""
        networks = self.n_networks or self.config.networks
        assert networks is not None  # `for_table` comes first
        return networks

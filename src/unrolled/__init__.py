"""unrolled: small recurrent networks on your own text, opened up; categories of tables as learned vectors.

The public face. Names are loaded when first used, so that `import unrolled` costs nothing and using a trained model
never loads PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.embedding import EmbeddingTable
    from unrolled.errors import UnrolledError
    from unrolled.learn.recipe import Machine, Recipe
    from unrolled.learn.train import Trained, train
    from unrolled.model.char_model import CharModel
    from unrolled.model.sampling import Sampling
    from unrolled.model.state import State
    from unrolled.progress import progress_bar
    from unrolled.tables.comparison.compare import compare_encodings
    from unrolled.tables.comparison.mean_of_models import mean_of_models
    from unrolled.tables.encoder.estimator import EntityEncoder
    from unrolled.tables.report.columns import examine_columns

__version__ = "0.2.0"

_HOMES = {
    "CharModel": "unrolled.model.char_model",
    "EmbeddingTable": "unrolled.embedding",
    "EntityEncoder": "unrolled.tables.encoder.estimator",
    "Machine": "unrolled.learn.recipe",
    "Recipe": "unrolled.learn.recipe",
    "Sampling": "unrolled.model.sampling",
    "State": "unrolled.model.state",
    "Trained": "unrolled.learn.train",
    "UnrolledError": "unrolled.errors",
    "compare_encodings": "unrolled.tables.comparison.compare",
    "examine_columns": "unrolled.tables.report.columns",
    "mean_of_models": "unrolled.tables.comparison.mean_of_models",
    "progress_bar": "unrolled.progress",
    "train": "unrolled.learn.train",
}

_NEEDS = {
    "EntityEncoder": "sklearn",
    "Trained": "torch",
    "compare_encodings": "sklearn",
    "examine_columns": "sklearn",
    "mean_of_models": "sklearn",
    "train": "torch",
}
"""Optional libraries. An encoder needs PyTorch only while it is fitted, and says so then."""

__all__ = [
    "CharModel",
    "EmbeddingTable",
    "EntityEncoder",
    "Machine",
    "Recipe",
    "Sampling",
    "State",
    "Trained",
    "UnrolledError",
    "__version__",
    "compare_encodings",
    "examine_columns",
    "mean_of_models",
    "progress_bar",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unrolled' has no attribute {name!r}")
    if name in _NEEDS:
        from unrolled.errors import import_extra

        import_extra(_NEEDS[name])  # reported in one sentence, before an import fails deep inside
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

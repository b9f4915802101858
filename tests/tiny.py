"""Models small enough to test every bit of: random weights, made without PyTorch."""

from typing import Any

import numpy as np

from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig, ModelParts
from unrolled.text.vocabulary import Vocabulary

TEXT = "the cat sat on the mat.\nThe dog, naïve, ate 3 of the cat's fish; “oh” said the cat.\n" * 4


def tiny_parts(
    rung: str = "lstm", *, text: str = TEXT, embedding: int = 3, hidden: int = 5, layers: int = 1, seed: int = 0
) -> ModelParts:
    """The parts of a network with weights of a size at which it forgets within a few dozen characters."""
    vocabulary = Vocabulary.of(text)
    config = ModelConfig(rung, len(vocabulary), embedding, hidden, layers)
    generator = np.random.default_rng(seed)
    size = 0.6 if rung == "mamba" else 1.2  # mamba multiplies three projections of its input, which would overflow
    weights = {
        name: (generator.normal(size=shape) * size / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in config.shapes().items()
    }
    return ModelParts(config, vocabulary, weights, {})


def tiny_model(rung: str = "lstm", **sizes: Any) -> CharModel:
    """A CharModel of `tiny_parts`."""
    return CharModel(tiny_parts(rung, **sizes))

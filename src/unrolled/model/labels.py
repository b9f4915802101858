"""Which label a text has, by Bayes: how often each label occurs, and how likely the text is after it.

One network of records with labels gives both: p(label | text) is p(label) p(text | label) over the sum for all labels.
The first factor is the share of the label among the training records, one added to each count. Left out: several
networks, one for each label (`unrolled score RUN1 RUN2 ... --lines`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.model.lines import BATCH_LINES, score_lines
from unrolled.model.predictor import LanguageModel
from unrolled.model.probabilities import softmax
from unrolled.text.vocabulary import LABEL_END

READ, FEWEST = 100_000, 50
"""Characters times labels that are read for a temperature, and records that it needs."""
TEMPERATURES = np.geomspace(0.25, 64, 97)
TINY = 1e-300


@dataclass(frozen=True)
class LabelScore:
    """The probability of each label for one line."""

    line: str
    probabilities: dict[str, float]

    @property
    def best(self) -> str:
        """The likeliest label."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


def score_by_label(
    model: LanguageModel, counts: Mapping[str, int], lines: Iterable[str], temperature: float = 1.0
) -> Iterator[LabelScore]:
    """The probability of each label of `counts` for every line, in order; a line is read once for each label.

    The nats of a line after each label are divided by the `temperature`, see `fitted_temperature`. Raises InputError
    for a model whose records have no labels.
    """
    if model.vocabulary.label_end is None or not counts:
        raise InputError("this model has no labels: train it with --records and --label-column")
    iterator = iter(lines)
    while some := list(islice(iterator, BATCH_LINES)):
        posterior = softmax(_prior(counts) - _nats(model, counts, some) / temperature)
        for line, row in zip(some, posterior.tolist(), strict=True):
            yield LabelScore(line, dict(zip(counts, row, strict=True)))


def fitted_temperature(model: LanguageModel, counts: Mapping[str, int], records: Iterable[tuple[str, str]]) -> float:
    """The temperature under which the labels of `records`, each a label and a text, are likeliest; 1 for too few.

    The characters of a text are no independent witnesses of its label, so that their nats added up are too sure of it.
    Records that were not learned from are needed, as many as are read until `READ` characters are reached.
    """
    labels, texts, read = list(counts), list[str](), list[int]()
    left = READ // max(len(counts), 1)
    for label, text in records:
        if label in counts and (left := left - len(text) - 1) >= 0:
            texts.append(text)
            read.append(labels.index(label))
    if len(texts) < FEWEST:
        return 1.0
    prior, nats, rows = _prior(counts), _nats(model, counts, texts), np.arange(len(texts))
    losses = [-np.log(softmax(prior - nats / t)[rows, read] + TINY).mean() for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def _prior(counts: Mapping[str, int]) -> NDArray[np.float64]:
    """The logarithm of how often each label occurs, (label,), up to a constant."""
    return np.log([times + 1.0 for times in counts.values()])


def _nats(model: LanguageModel, counts: Mapping[str, int], texts: Sequence[str]) -> NDArray[np.float64]:
    """Of each text after each label, (text, label)."""
    each = [[one.total_bits for one in score_lines(model, texts, after=label + LABEL_END)] for label in counts]
    return np.log(2) * np.array(each, np.float64).T

"""Which label a text has, by Bayes: how often each label occurs, and how likely the text is after it.

One network of records with labels gives both: p(label | text) is p(label) p(text | label) over the sum for all labels.
The first factor is the share of the label among the training records, one added to each count. Left out: several
networks, one for each label (`unrolled score RUN1 RUN2 ... --lines`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from unrolled.errors import InputError
from unrolled.model.lines import BATCH_LINES, score_lines
from unrolled.model.predictor import LanguageModel
from unrolled.model.probabilities import softmax
from unrolled.text.vocabulary import LABEL_END


@dataclass(frozen=True)
class LabelScore:
    """The probability of each label for one line."""

    line: str
    probabilities: dict[str, float]

    @property
    def best(self) -> str:
        """The likeliest label."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


def score_by_label(model: LanguageModel, counts: Mapping[str, int], lines: Iterable[str]) -> Iterator[LabelScore]:
    """The probability of each label of `counts` for every line, in order; a line is read once for each label.

    Raises InputError for a model whose records have no labels.
    """
    if model.vocabulary.label_end is None or not counts:
        raise InputError("this model knows no labels: train it with --records and --label-column")
    prior = np.log([times + 1 for times in counts.values()])
    iterator = iter(lines)
    while some := list(islice(iterator, BATCH_LINES)):
        bits = [[one.total_bits for one in score_lines(model, some, after=label + LABEL_END)] for label in counts]
        posterior = softmax(prior - np.log(2) * np.array(bits).T)
        for line, row in zip(some, posterior.tolist(), strict=True):
            yield LabelScore(line, dict(zip(counts, row, strict=True)))

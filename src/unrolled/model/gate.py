"""Gate: how much of a prediction comes from the network, and how much from each way to read the counts.

Four distributions are mixed: that of the network, those of counts by contexts of characters and of words, and the
*product*, the square root of network times counts, which is sharper where both agree. Their shares are the softmax of
weighted sums of logarithms that say how sure each side is. Left out: the mixture as a predictor (`mixture`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unrolled.bounds import check_number
from unrolled.errors import InputError
from unrolled.model.probabilities import softmax
from unrolled.text.counts.table import WORDS_WEIGHT, Prediction

Probabilities = NDArray[np.float64]
LARGEST_WEIGHT = 1_000_000
"""Of a gate; products with logarithms of probabilities are then finite."""
ROUNDS, ENOUGH, PULL = 15, 0.5, 3.0
"""Of the fit: its steps, at most; the gain below which it ends; and what a weight of 1 costs, which pulls weights to
zero. The last two are nats of the whole text."""
SMALLEST_SCALE = 0.1
"""Of a feature: one that hardly varies where the gate is fitted may do so elsewhere, and gets no large weight."""
PLAIN = 5
"""Features before the logarithms of what each table leaves (`Experts`)."""


@dataclass(frozen=True)
class Gate:
    """The shares of network, characters, words and product in a mixture."""

    weights: tuple[tuple[float, ...], ...]
    """Of each feature for network, characters and product; those for the words are 0."""

    def __post_init__(self) -> None:
        if len(self.weights) <= PLAIN or any(len(row) != 3 for row in self.weights):
            raise InputError(f"a gate needs three weights for each of more than {PLAIN} features")
        for row in self.weights:
            for weight in row:
                check_number("a weight of the gate", weight, at_least=-LARGEST_WEIGHT, at_most=LARGEST_WEIGHT)

    @classmethod
    def of(cls, weights: Probabilities) -> Gate:
        """With the weights (feature, 3) of an array."""
        return cls(tuple(map(tuple, weights.tolist())))

    @property
    def tables(self) -> int:
        """How many tables the counts must have."""
        return len(self.weights) - PLAIN

    @classmethod
    def between(
        cls,
        tables: int,
        bias: float = 0.0,
        network_peak: float = 0.0,
        counts_peak: float = 0.0,
        counts_backoff: float = 0.0,
    ) -> Gate:
        """The gate between a network and the mean of the counts: a logistic function of three features and a bias.

        Folders of format 1 hold such a one.
        """
        weights = np.zeros((PLAIN + tables, 3))
        weights[:4, 0] = bias + math.log(1 / WORDS_WEIGHT), network_peak, counts_peak, counts_backoff
        weights[0, 1:] = math.log(1 / WORDS_WEIGHT - 1), -LARGEST_WEIGHT
        return cls.of(weights)

    @cached_property
    def _array(self) -> Probabilities:
        return np.array([(*row, 0.0) for row in self.weights])

    def share(self, features: Sequence[float]) -> list[float]:
        """Of each of the four in one prediction, from its features, (feature,)."""
        sums = (features @ self._array).tolist()
        largest = max(sums)
        powers = [math.exp(number - largest) for number in sums]
        total = sum(powers)
        return [power / total for power in powers]

    def shares(self, features: Probabilities) -> Probabilities:
        """For many: (n, feature) -> (n, 4)."""
        return softmax(features @ self._array)

    def adapted(self, given: Probabilities, features: Probabilities, rate: float) -> Gate:
        """The gate after one step of gradient ascent to what came: what each of the four gave to it, (n, 4)."""
        step = rate * features.T @ _surprise(self.shares(features), given)
        changed = (self._array + step - step[:, 3:])[:, :3].clip(-LARGEST_WEIGHT, LARGEST_WEIGHT)
        return Gate.of(changed)

    @classmethod
    def fit(cls, probabilities: Probabilities, features: Probabilities) -> Gate:
        """The gate under which a text is likeliest, from what each of the four gave to its characters, (n, 4).

        Expectation maximisation: how much of each character each of the four explains, then a step of the logistic
        regression to these shares. The features, (n, feature), are brought to one scale before.
        """
        mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), SMALLEST_SCALE)
        mean[0], scale[0] = 0, 1
        inputs = (features - mean) / scale
        weights = _fitted(probabilities, inputs) / scale[:, None]
        weights[0] -= mean @ weights
        return cls.of(weights)


@dataclass(frozen=True)
class Experts:
    """The four distributions that a gate mixes, each (n, symbols), and its features."""

    each: tuple[Probabilities, ...]
    features: Probabilities
    """(n, feature): 1; logarithms of the largest probability of the network, of that of the counts, and of what the
    longest known context leaves to shorter ones; the share of contexts that are known; `Prediction.log_backoffs`."""

    @classmethod
    def of(cls, network: Probabilities, counts: Prediction) -> Experts:
        """From the distributions of both sides."""
        mean, logs = counts.mean, counts.log_backoffs
        product = np.sqrt(network * mean)
        product /= product.sum(axis=1, keepdims=True)
        known = logs < 0
        longest = np.take_along_axis(logs, logs.shape[1] - 1 - known[:, ::-1].argmax(axis=1)[:, None], axis=1)
        peaks = [np.ones(len(mean)), np.log(network.max(axis=1)), np.log(mean.max(axis=1))]
        features = np.column_stack([*peaks, longest, known.mean(axis=1), logs])
        return cls((network, counts.characters, product, counts.words), features)

    def mixed(self, gate: Gate) -> Probabilities:
        """(n, symbols)"""
        shares = gate.shares(self.features).T[:, :, None]
        return sum(share * each for share, each in zip(shares, self.each, strict=True))

    def of_targets(self, targets: NDArray[np.integer]) -> Probabilities:
        """What each of the four gives to the ids that came, (n,): (n, 4)."""
        rows = np.arange(len(targets))
        return np.column_stack([each[rows, targets] for each in self.each])


def mixed_once(gate: Gate, powers: NDArray[np.floating], counts: Prediction) -> Probabilities:
    """The mixture for one text, (symbols,), in as few calls of NumPy as possible.

    The largest of `powers`, (symbols,), is 1, and they are the probabilities of the network but for a factor.
    """
    total, mean, logs = float(powers.sum()), counts.mean, counts.log_backoffs
    product = np.sqrt(powers * mean)
    known = [number for number in logs if number < 0]
    peak = mean.item(mean.argmax())  # a quarter of the time of `max`
    features = [1.0, -math.log(total), math.log(peak), known[-1] if known else 0.0, len(known) / len(logs), *logs]
    one, characters, both, words = gate.share(features)
    mixed: Probabilities = powers * (one / total) + product * (both / float(product.sum()))
    return mixed + counts.characters * characters + counts.words * words


def _surprise(shares: Probabilities, given: Probabilities) -> Probabilities:
    """By how much what each of the four explains of the characters that came exceeds its share, (n, 4)."""
    explained = shares * given
    explained /= explained.sum(axis=1, keepdims=True)
    return explained - shares


def _fitted(probabilities: Probabilities, inputs: Probabilities) -> Probabilities:
    """The weights of inputs of one scale, (feature, 3).

    The step is that of logistic regression, which is too short where all four explain a character nearly as well; so
    it is doubled as long as the text becomes likelier.
    """
    weights = np.zeros((inputs.shape[1], 3))
    pull = np.full(weights.shape, PULL)
    pull[0] /= 10  # the biases

    def shares(weights: Probabilities) -> Probabilities:
        return softmax(np.column_stack([inputs @ weights, np.zeros(len(inputs))]))

    def gain(weights: Probabilities) -> float:
        return float(np.log((shares(weights) * probabilities).sum(axis=1)).sum() - (pull * weights**2).sum())

    reached = gain(weights)
    for _ in range(ROUNDS):
        now = shares(weights)
        gradient = inputs.T @ _surprise(now, probabilities)[:, :3] - 2 * pull * weights
        curvature = _curvature(inputs, now[:, :3]) + 2 * np.diag(pull.ravel())
        step = np.linalg.solve(curvature, gradient.ravel()).reshape(weights.shape)
        best = gain(weights + step)
        while (further := gain(weights + 2 * step)) > best:
            step, best = 2 * step, further
        if best <= reached + ENOUGH:
            break
        weights, reached = weights + step, best
    return weights


def _curvature(inputs: Probabilities, shares: Probabilities) -> Probabilities:
    """Minus the second derivatives of the log-likelihood of shares, (feature * 3, feature * 3)."""
    features, count = inputs.shape[1], shares.shape[1]
    result = np.empty((features, count, features, count))
    for i in range(count):
        for j in range(count):
            result[:, i, :, j] = inputs.T @ (inputs * (shares[:, i] * ((i == j) - shares[:, j]))[:, None])
    return result.reshape(features * count, -1)

"""Counts beside a network: how well they predict alone, whether a mixture is better, and the gate for it.

The gate is fitted, and the choice made, on parts of the training text that the network has not read and the counts for
this purpose neither. The counts of the finished model have read them too. Left out: PyTorch; a network is
read by NumPy here.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelParts
from unrolled.model.gate import PLAIN, Experts, Gate
from unrolled.model.members import Members
from unrolled.model.predictor import Predictor
from unrolled.model.probabilities import softmax
from unrolled.model.scoring import LOGITS, readings, record_readings
from unrolled.text.counts.model import CountModel
from unrolled.text.encoded import EncodedText
from unrolled.text.report.baselines import Baseline, baselines, verdict
from unrolled.text.sample import PIECES, Sample
from unrolled.text.vocabulary import Ids
from unrolled.text.windows import Split

LEAST = 200
"""Characters that the held-out part must have, for a gate to be fitted."""
GAIN = 0.003
"""Nats per character by which a mixture must be better to be chosen."""
TRIAL = 1024
NEVER = -1
"""The id of no character."""
MEASURED = 1_000_000
"""Characters of the validation part on which members are measured, at most."""

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Observed:
    """What a network and counts gave to each character of a sample, in the order of the text."""

    probabilities: Probabilities
    """(character, 4), those of `Experts`"""
    counts: Probabilities
    """(character,), of counts alone"""
    features: Probabilities
    """(character, feature), those of `Gate`"""

    def __getitem__(self, places: slice) -> Observed:
        return Observed(self.probabilities[places], self.counts[places], self.features[places])

    @property
    def network(self) -> float:
        """Nats per character of the network alone."""
        return _nats(self.probabilities[:, 0])

    def gate(self) -> Gate:
        """The gate that suits these characters best."""
        return Gate.fit(self.probabilities, self.features)

    def nats(self, gate: Gate) -> float:
        """Nats per character of the mixture."""
        return _nats((gate.shares(self.features) * self.probabilities).sum(axis=1))


def observe(network: Predictor, counts: CountModel, ids: Ids, sample: Sample, boundary: int | None = None) -> Observed:
    """Both sides on a sample of the text `ids`; the network is warmed up on what stands before each piece.

    With a `boundary`, the pieces are of whole records, and each is read from a state of its own.
    """
    read = (
        readings(network, ids, sample, counts.symbols)
        if boundary is None
        else record_readings(network, ids, sample, boundary, counts.symbols)
    )
    n = len(sample)
    seen = Observed(np.empty((n, 4)), np.empty(n), np.empty((n, PLAIN + counts.depth)))
    for positions, logits in read:
        after = counts.after_all(counts.contexts(ids, positions, boundary))
        experts, targets, places = Experts.of(softmax(logits), after), ids[positions], sample.places(positions)
        seen.probabilities[places] = experts.of_targets(targets)
        seen.counts[places] = after.mean[np.arange(len(targets)), targets]
        seen.features[places] = experts.features
    return seen


@dataclass(frozen=True)
class Mixed:
    """A model with or without counts, and how well each side predicts the validation part, in nats per character."""

    model: ModelParts
    network: float
    counts: float
    mixture: float | None
    """None if no gate was fitted."""
    gain: float | None = None
    """By how much the mixture was better than the network on the held-out part of the training text."""
    too_short: bool = False
    """Whether the held-out part is too short for a gate."""

    @property
    def delivered(self) -> float:
        """Of the model as it is, with counts or without."""
        return self.network if self.mixture is None or self.model.beside.counts is None else self.mixture

    @property
    def sentence(self) -> str:
        """What was chosen, and why."""
        if self.too_short:
            return f"the text is too short to mix in counts ({LEAST} characters of 1/32 of it are needed)"
        if self.gain is None:
            return "the network predicts alone, without counts"
        better = f"{abs(self.gain):.3f} nats {'better' if self.gain > 0 else 'worse'}"
        used = "the model mixes both" if self.model.beside.counts is not None else "the network predicts alone"
        return f"with counts it is {better} on a held-out part of the training text: {used}"

    def compared(self, text: EncodedText, judged: Sample, window: int) -> tuple[tuple[Baseline, ...], str]:
        """The baselines, told a `window` of the training part, and what the model is worth beside them."""
        found = baselines(text, judged, self.counts / math.log(2), window)
        return found, verdict(self.delivered / math.log(2), found)

    def to_json(self) -> dict[str, Any]:
        """Nats per character on the validation part, by member; `together` where a gate was fitted."""
        together = {} if self.mixture is None else {"together": self.mixture}
        return {"network": self.network, "counts": self.counts} | together


def mix(model: ModelParts, ids: Ids, cut: Split, wanted: str, limit: int | None = None) -> Mixed:
    """`model`, a network or a committee, with the counts of its training text, where it is better.

    `wanted` is auto for that, or counts or none whatever is better. At most `limit` characters of each part are read by
    the network, which takes most of the time.
    """
    limit = min(MEASURED, limit or MEASURED)
    symbols, letters, boundary = len(model.vocabulary), model.vocabulary.letters, model.vocabulary.boundary
    train, held_out = cut.bounds("mixing")
    network = CharModel(model).predictor
    counts = CountModel.count(ids[:held_out], symbols, letters=letters, boundary=boundary)
    seen = observe(network, counts, ids, cut.sample(ids, "validation", limit, boundary), boundary)
    alone = seen.network, _nats(seen.counts)
    if wanted == "none" or len(cut.mixing) < LEAST:
        return Mixed(model, *alone, mixture=None, too_short=wanted != "none")
    before = CountModel.count(ids[:train], symbols, letters=letters, boundary=boundary)
    gate, gain = _fitted(observe(network, before, ids, cut.sample(ids, "mixing", limit, boundary), boundary))
    if wanted == "counts" or gain > GAIN:
        model = replace(model, beside=Members(model.beside.networks, counts, gate))
    return Mixed(model, *alone, seen.nats(gate), gain)


def seconds_per_character(model: ModelParts, ids: Ids) -> float:
    """How long `mix` takes for a character that it reads, from a few of them."""
    symbols = len(model.vocabulary)
    network = CharModel(model).predictor
    counts = CountModel.count(ids[: 8 * TRIAL], symbols, letters=model.vocabulary.letters)
    end, before = min(len(ids), TRIAL, 64 + LOGITS // symbols), time.perf_counter()
    observe(network, counts, ids, Sample.cut(1, end, min(PIECES, end - 1)), NEVER)  # records need no warming up
    return (time.perf_counter() - before) / (end - 1)


def _fitted(seen: Observed) -> tuple[Gate, float]:
    """The gate of all that was seen, and what the gates of each half gain on the other half."""
    half = len(seen.counts) // 2
    halves = (seen[:half], seen[half:])
    crossed = (halves[1].nats(halves[0].gate()) + halves[0].nats(halves[1].gate())) / 2
    return seen.gate(), seen.network - crossed


def _nats(probabilities: Probabilities) -> float:
    return -float(np.log(probabilities).mean())

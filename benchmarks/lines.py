"""Scores of lines: how many a second beside a loop over `CharModel.score`, and what they find in real logs.

Speed: an untrained LSTM of 320, lines of Nietzsche cut to 100 characters, of a log, and names; processor seconds, sides
taking turns. Anomalies: models learn the first half of a log and rank the second, once for its own alerts (BGL, whose
first field is the label and is removed), once for 20 planted lines of Nietzsche, and once for 20 of its own lines with
one word in the place of another: a network and counts by bits per character, a network of masked records by these and
by its peak; beside them counts alone, an isolation forest on TF-IDF of characters, the entropy of characters, length.

    python -m benchmarks lines
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score

import unrolled
from benchmarks.texts import data
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig, ModelParts
from unrolled.text.variables import Kinds
from unrolled.text.vocabulary import Vocabulary

Scores = NDArray[np.float64]

HIDDEN, EMBEDDING = 320, 64
ASKED = 20
"""Times as fast as the loop."""
LOOPED = 60
PLANTED = 20
RESAMPLES = 500
WORD = re.compile(r"[A-Za-z]{4,}")


def untrained(text: str) -> CharModel:
    """A network of the default size for the characters of `text`."""
    vocabulary = Vocabulary.of(text)
    config = ModelConfig("lstm", len(vocabulary), EMBEDDING, HIDDEN, 1)
    random = np.random.default_rng(0)
    weights = {
        name: random.normal(size=shape, scale=0.05).astype(np.float32) for name, shape in config.shapes().items()
    }
    return CharModel(ModelParts(config, vocabulary, weights, {}))


def speed(name: str, lines: Sequence[str]) -> None:
    """Print the lines a second of both sides, and how far their bits differ."""
    model, seconds = untrained("\n".join(lines)), {"loop": math.inf, "lines": math.inf}
    difference = 0.0
    for _ in range(3):
        start = time.process_time()
        alone = [model.score(line).bits for line in lines[:LOOPED]]
        seconds["loop"] = min(seconds["loop"], (time.process_time() - start) / LOOPED)
        start = time.process_time()
        together = [one.bits for one in model.score_lines(lines, after="")]
        seconds["lines"] = min(seconds["lines"], (time.process_time() - start) / len(lines))
        difference = max(abs(a - b) for a, b in zip(alone, together, strict=False))
    ratio = seconds["loop"] / seconds["lines"]
    print(
        f"{name}: loop {1 / seconds['loop']:,.0f} lines/s, score_lines {1 / seconds['lines']:,.0f}, ratio {ratio:.1f} "
        f"(asked: {ASKED}), bits within {difference:.0e}",
        flush=True,
    )


def detectors(first: Sequence[str], judged: Sequence[str]) -> Iterator[tuple[str, Scores]]:
    """The name of each detector and its scores (judged,), high for what is odd."""
    model = unrolled.train(
        text="\n".join(first), hidden=128, epochs=4, threads=1, precision="float32", with_="counts"
    ).model
    for member in model.members:
        yield f"{member} alone", bits(model.only(member), judged)
    yield "network and counts", bits(model, judged)
    yield "network and counts, masked", bits(model, judged, mask=True)
    yield "network and counts, kinds learned", bits(model, judged, kinds=Kinds())
    records = unrolled.train(
        text="\n".join(first), hidden=128, epochs=4, threads=1, precision="float32", records="lines", mask=True,
        with_="counts",
    ).model  # fmt: skip
    network = records.only("network")
    yield "network of masked records", bits(network, judged)
    yield "network of masked records, peak", np.array([one.peak for one in network.score_lines(judged)])
    yield "network and counts of masked records, kinds learned", bits(records, judged, kinds=Kinds())
    words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), max_features=2000)
    forest = IsolationForest(random_state=0).fit(words.fit_transform(first))
    yield "isolation forest on TF-IDF", -forest.score_samples(words.transform(judged))
    counts = Counter("".join(first))
    total = sum(counts.values())
    cost = {character: -math.log2(times / total) for character, times in counts.items()}
    unseen = math.log2(total)
    yield "entropy of characters", np.array([np.mean([cost.get(c, unseen) for c in line]) for line in judged])
    yield "length", np.array([float(len(line)) for line in judged])


def bits(model: CharModel, lines: Sequence[str], *, mask: bool = False, kinds: Kinds | None = None) -> Scores:
    """Bits per character of every line."""
    return np.array([one.bits for one in model.score_lines(lines, mask=mask, kinds=kinds)])


def altered(lines: Sequence[str]) -> list[str]:
    """Every line with one word of four letters or more in the place of another, drawn from all of them."""
    random = np.random.default_rng(1)
    words = [word for line in lines for word in WORD.findall(line)]
    result = []
    for line in lines:
        found = list(WORD.finditer(line))
        place = found[int(random.integers(len(found)))]
        others = [word for word in words if word != place[0]]
        result.append(line[: place.start()] + others[int(random.integers(len(others)))] + line[place.end() :])
    return result


def judge(name: str, first: Sequence[str], second: Sequence[str], alerts: NDArray[np.bool_] | None) -> None:
    """Print AUC with its 95 % interval and precision at 20, for the planted lines and for the log's own alerts."""
    foreign = [line for line in data("nietzsche.txt").read_text(encoding="utf-8").splitlines() if len(line) > 60]
    chosen = np.random.default_rng(0).choice(len(second), PLANTED, replace=False)
    judged = [*second, *foreign[:PLANTED], *altered([second[i] for i in chosen])]
    kinds = np.repeat([0, 1, 2], [len(second), PLANTED, PLANTED])
    for detector, scores in detectors(first, judged):
        for kind, what in ((1, "planted"), (2, "one word altered")):
            some = (kinds == 0) | (kinds == kind)
            print(f"{name}, {what}: {detector}: {found(scores[some], kinds[some] == kind)}", flush=True)
        if alerts is not None:
            print(f"{name}, alerts: {detector}: {found(scores[: len(second)], alerts)}", flush=True)


def found(scores: Scores, truth: NDArray[np.bool_]) -> str:
    """AUC, its bootstrap interval, and the precision among the 20 highest."""
    random = np.random.default_rng(0)
    aucs = []
    for _ in range(RESAMPLES):
        rows = random.integers(len(scores), size=len(scores))
        if 0 < truth[rows].sum() < len(rows):
            aucs.append(roc_auc_score(truth[rows], scores[rows]))
    low, high = np.percentile(aucs, [2.5, 97.5])
    first = np.argsort(-scores, kind="stable")[:20]
    return (
        f"AUC {roc_auc_score(truth, scores):.3f} [{low:.3f} to {high:.3f}], precision at 20 {truth[first].mean():.2f}"
    )


def main() -> None:
    """Run all of it."""
    book = data("nietzsche.txt").read_text(encoding="utf-8")
    ssh = data("logs/OpenSSH_2k.log").read_text(encoding="utf-8").splitlines()
    bgl = data("logs/BGL_2k.log").read_text(encoding="utf-8").splitlines()
    speed("100 characters of Nietzsche", [book[i : i + 100] for i in range(0, 100_000, 100)])
    speed("lines of the OpenSSH log", ssh)
    speed("names", data("names.txt").read_text(encoding="utf-8").split()[:5000])
    judge("OpenSSH", ssh[:1000], ssh[1000:], None)
    labels, lines = zip(*(line.split(" ", 1) for line in bgl), strict=True)
    judge("BGL", lines[:1000], lines[1000:], np.array(labels[1000:]) != "-")


if __name__ == "__main__":
    main()

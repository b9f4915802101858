"""Labels of texts: Bayes' rule written out, and models that know none."""

from dataclasses import replace

import numpy as np
import pytest

import unrolled
from tiny import tiny_model, tiny_parts
from unrolled.errors import InputError
from unrolled.model.char_model import CharModel
from unrolled.model.labels import fitted_temperature
from unrolled.text.vocabulary import BOUNDARY, LABEL_END

P = ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5])
COUNTS = {"jazz": 29, "pop": 9}
PARTS = replace(tiny_parts(text=f"{BOUNDARY}jazpo{LABEL_END}blue notes{BOUNDARY}"), training={"labels": COUNTS})
MODEL = CharModel(PARTS)


def probability_of(text, before):
    """Of the characters of `text` and its end, one after the other, after `before`."""
    state = MODEL.read(before)
    p = 1.0
    for character in text + BOUNDARY:
        logits = state.logits.astype(np.float64)
        p *= float(np.exp(logits - np.logaddexp.reduce(logits))[MODEL.vocabulary.encode(character)[0]])
        state = MODEL.read(character, state)
    return p


def test_labels_by_bayes():
    lines = ["blue", "notes on blue", "", "s"]
    for line, one in zip(lines, MODEL.score_by_label(lines), strict=True):
        joint = {label: (n + 1) / 40 * probability_of(line, label + LABEL_END) for label, n in COUNTS.items()}
        assert one.line == line
        assert one.probabilities == pytest.approx({name: p / sum(joint.values()) for name, p in joint.items()})
        assert one.best == max(joint, key=joint.__getitem__)


def test_a_line_with_its_label_is_scored_as_a_record():
    (one,) = MODEL.score_lines(["pop\tnotes"])
    assert (one.line, one.counted) == ("pop\tnotes", len("pop\tnotes") + 1)
    assert 2**-one.total_bits == pytest.approx(probability_of(f"pop{LABEL_END}notes", ""), rel=1e-5)
    with pytest.raises(InputError, match="--by-label"):
        list(MODEL.score_lines(["notes"]))
    assert MODEL.next("pop\tno") == MODEL.next(f"pop{LABEL_END}no")


def test_records_of_a_label_are_written_with_a_tab():
    for record in MODEL.records(5, start="pop\tb", length=30):
        assert record.startswith("pop\tb")
        assert LABEL_END not in record


def test_a_model_without_labels_says_so():
    with pytest.raises(InputError, match="has no labels"):
        list(tiny_model().score_by_label(["a"]))


@pytest.mark.parametrize("temperature", [0.4, 0.8, 1.6])
def test_the_temperature_of_the_labels_is_found(temperature):
    rng = np.random.default_rng(0)
    lines = ["".join(rng.choice(list("blue notes"), 12)) for _ in range(600)]
    cooled = CharModel(replace(PARTS, training=PARTS.training | {"label_temperature": temperature}))
    scores = list(cooled.score_by_label(lines))
    drawn = ["jazz" if one.probabilities["jazz"] > u else "pop" for one, u in zip(scores, rng.random(600), strict=True)]
    records = list(zip(drawn, lines, strict=True))
    found = fitted_temperature(MODEL, COUNTS, records)
    assert found == pytest.approx(temperature, rel=0.3)
    assert fitted_temperature(MODEL, COUNTS, records[:20]) == 1.0, "of so few nothing can be learned"


def test_a_temperature_from_a_stranger_is_checked():
    with pytest.raises(InputError, match=r"label_temperature in training\.json is -1"):
        next(CharModel(replace(PARTS, training=PARTS.training | {"label_temperature": -1})).score_by_label(["a"]))


def test_training_leaves_a_temperature():
    rng = np.random.default_rng(1)
    text = "\n".join(f"{'ab'[i % 2]}\t{''.join(rng.choice(list('xyz'), 5, p=P[i % 2]))}" for i in range(1200))
    model = unrolled.train(text=text, records="lines", label_column="tab", rung="counts").model
    assert model.labels.keys() == {"a", "b"}
    assert 0.25 < model.training["label_temperature"] < 64

"""Labels of texts: Bayes' rule written out, and models that know none."""

from dataclasses import replace

import numpy as np
import pytest

from tiny import tiny_model, tiny_parts
from unrolled.errors import InputError
from unrolled.model.char_model import CharModel
from unrolled.text.vocabulary import BOUNDARY, LABEL_END

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


def test_records_of_a_label_are_written_with_a_tab():
    for record in MODEL.records(5, start="pop\tb", length=30):
        assert record.startswith("pop\tb")
        assert LABEL_END not in record


def test_a_model_without_labels_says_so():
    with pytest.raises(InputError, match="knows no labels"):
        list(tiny_model().score_by_label(["a"]))

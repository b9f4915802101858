"""What is judged of a part: everything once, or pieces from all over it, the same for whoever measures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small import model_of, network_for
from unrolled.learn.evaluate import evaluate
from unrolled.learn.mixing import observe
from unrolled.text.corpus import text_corpus
from unrolled.text.counts.model import CountModel
from unrolled.text.records import cut_text, record_corpus
from unrolled.text.sample import PIECES, SHORTEST, Sample
from unrolled.text.vocabulary import Vocabulary


@given(st.integers(0, 100_000), st.integers(2, 100_000), st.none() | st.integers(1, 100_000))
def test_pieces_are_in_order_and_as_many_characters_as_wanted(start, length, limit):
    sample = Sample.of(start, start + length, limit)
    wanted = start + length - max(start, 1)
    assert len(sample) == (wanted if limit is None else min(limit, wanted))
    borders = np.column_stack([sample.starts, sample.ends]).ravel()
    assert (np.diff(borders) >= 0).all()
    assert (borders[0], borders[-1] <= start + length) == (max(start, 1), True)
    assert len(sample.starts) <= PIECES
    assert len(sample) < SHORTEST or (sample.ends - sample.starts).min() >= SHORTEST
    positions = np.concatenate([np.arange(*piece) for piece in sample])
    assert sample.places(positions).tolist() == list(range(len(sample)))


@given(st.lists(st.text("ab", max_size=30), min_size=30, max_size=60), st.integers(1, 2000))
def test_a_sample_of_records_has_whole_ones(lines, limit):
    read = record_corpus(text_corpus("\n".join([*lines, "a", "b"])), "lines").read()
    vocabulary = Vocabulary.of(read)
    ids, boundary = vocabulary.encode(read), vocabulary.boundary
    sample = Sample.of(0, len(ids), limit).whole_records(ids, boundary, len(ids))
    assert len(sample)
    for start, end in sample:
        assert ids[start - 1] == ids[end - 1] == boundary
    assert limit < len(ids) or len(sample) == len(ids) - 1


def test_a_part_that_grows_harder_is_judged_fairly_by_all():
    """The first third of the validation part repeats two words, the rest is noise: its beginning would mislead."""
    noise = np.random.default_rng(0).choice(list("abcdefgh"), 24_000)
    text = "the end " * 6_000 + "".join(noise)
    network, vocabulary = network_for(text, "gru", hidden=8)
    ids = vocabulary.encode(text)
    _, cut = cut_text(ids, None, 0.5)
    counts, predictor = CountModel.count(cut.train, len(vocabulary)), model_of(network, vocabulary).predictor
    judged = cut.sample(ids, "validation", 9_000)
    start = len(cut.train)
    whole, part, first = (
        observe(predictor, counts, ids, sample)
        for sample in (cut.sample(ids, "validation"), judged, Sample.of(start, start + 9_000))
    )
    nats = [-np.log(seen.counts).mean() for seen in (whole, part, first)]
    assert nats[1] == pytest.approx(nats[0], rel=0.03)
    assert nats[2] < 0.1 * nats[0]
    assert evaluate(network, ids, judged).nats == pytest.approx(part.network, abs=1e-3)

"""Names as n-grams and as vectors: against scikit-learn's own n-grams and ridge regression, and on hostile strings."""

import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from unrolled.tables.encoder import spelling as spelling_module
from unrolled.tables.encoder.ngrams import fit_ngrams, normal_form
from unrolled.tables.encoder.spelling import LIKE, Spelling, blend, fit_spelling

RANKS = ("junior", "senior", "chief", "deputy", "acting", "assistant")
TRADES = ("plumber", "carpenter", "surveyor", "librarian", "gardener", "painter", "welder", "driver", "nurse", "clerk")
PLACES = ("north", "south", "east", "west")
TITLES = [f"{rank} {trade} {place}" for rank in RANKS for trade in TRADES for place in PLACES]


def title_vectors(noise=0.0):
    """A vector per title: that of its rank and that of its trade."""
    rng = np.random.default_rng(0)
    rank, trade = rng.normal(size=(len(RANKS), 5)), rng.normal(size=(len(TRADES), 5))
    exact = np.array([r + t for r in rank for t in trade for _ in PLACES])
    return exact + noise * rng.normal(size=exact.shape)


def test_ngrams_and_weights_are_those_of_scikit_learn():
    names = [*TITLES, "Police Officer II", "police officer III", "Straße 5", "a", "banana banana"]
    theirs = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), sublinear_tf=True, lowercase=False)
    expected = theirs.fit_transform([f" {normal_form(name)} " for name in names])
    ours = fit_ngrams(names)
    features = ours.features(names)
    assert features.shape == expected.shape  # no two n-grams share a hash here
    assert np.allclose((features @ features.T).toarray(), (expected @ expected.T).toarray(), atol=1e-6)
    new = ["junior wlder west", "Straße"]
    other = theirs.transform([f" {normal_form(name)} " for name in new])
    assert np.allclose((ours.features(new) @ features.T).toarray(), (other @ expected.T).toarray(), atol=1e-6)


def test_ridge_is_that_of_scikit_learn():
    vectors, counts = title_vectors(0.3), np.arange(len(TITLES)) % 7 + 1
    reading = fit_spelling(TITLES, vectors, counts)
    features = reading.spelling.ngrams.features(TITLES)
    importance = counts / (counts + 3)
    mean = np.average(vectors, axis=0, weights=importance)
    plain = replace(reading.spelling, deviations=np.zeros_like(reading.spelling.deviations))
    ours = np.array(plain.read(TITLES))[:, :5]
    errors = []
    for penalty in (0.1, 0.3, 1.0, 3.0):
        ridge = Ridge(penalty, fit_intercept=False).fit(features, vectors - mean, sample_weight=importance)
        errors.append(np.abs(ours - mean - ridge.predict(features)).max())
    assert min(errors) < 0.02


def test_of_many_names_the_main_axes_are_learned(monkeypatch):
    noise = 0.2 * np.random.default_rng(1).normal(size=(len(TITLES), 20))
    vectors, counts = np.concatenate([title_vectors(), noise], axis=1), np.full(len(TITLES), 5)
    whole = fit_spelling(TITLES, vectors, counts)
    monkeypatch.setattr(spelling_module, "MANY_NAMES", 200)
    main = fit_spelling(TITLES, vectors, counts)
    errors = [np.sqrt(((reading.held_out[:, :5] - vectors[:, :5]) ** 2).mean()) for reading in (whole, main)]
    assert errors[0] != errors[1] < 1.5 * errors[0]
    assert abs(whole.explained - main.explained) < 0.1
    assert main.spelling.vectors.shape == whole.spelling.vectors.shape


def test_nearest_names_are_found_by_their_rare_ngrams(monkeypatch):
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("bdfgklmnprst"), 4)) for _ in range(150)]
    names = [" ".join(rng.choice(words, 3)) for _ in range(400)]
    ngrams = fit_ngrams(names)
    shape = (len(ngrams.hashes), 3)
    spelling = Spelling(ngrams, np.zeros(shape, np.float32), np.zeros(3, np.float32), tuple(names),
                        rng.normal(size=(400, 3)).astype(np.float32))  # fmt: skip
    new = (" ".join(rng.choice(words, 3)) for _ in range(100))
    features = ngrams.features([*(name[:5] + name[6:] for name in names), *new, ""])
    every, position = spelling._nearest(features)
    monkeypatch.setattr(spelling_module, "FEW_NAMES", 100)
    some, at = spelling._nearest(features)
    alike = every >= LIKE
    assert (some[~alike] < every[~alike]).any()  # not all pairs were looked at
    assert 300 < alike.sum() < len(every)
    assert np.allclose(some[alike], every[alike], atol=1e-12)
    assert np.array_equal(at[alike], position[alike])
    assert (some[~alike] < LIKE).all()


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8))
def test_any_text_is_read(names):
    features = fit_ngrams(names).features(names)
    lengths = np.asarray(features.multiply(features).sum(axis=1)).ravel()
    assert np.allclose(lengths, [1.0 if normal_form(name) else 0.0 for name in names])


@pytest.mark.parametrize("text", ["x" * 100_000, "\0", "👩‍🚒 fire", "مدير عام", "\ud800 lone", "007", "  \t\n "])
def test_hostile_text_has_a_vector_or_none(text):
    reading = fit_spelling(TITLES, title_vectors(), np.full(len(TITLES), 5))
    (vector,) = reading.spelling.read([text])
    assert vector is None or (vector.shape == (35,) and np.isfinite(vector).all())
    assert reading.spelling.read(["", " "]) == [None, None]


def test_composed_and_decomposed_are_one_name():
    name = "Café Müller"
    forms = [unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    assert len({normal_form(form) for form in forms}) == 1
    assert normal_form("ＣＡＦÉ  müller ") == normal_form(name)


def test_held_out_names_are_predicted():
    exact = title_vectors()
    reading = fit_spelling(TITLES, title_vectors(0.3), np.full(len(TITLES), 20))
    error = ((reading.held_out - exact) ** 2).sum() / ((exact - exact.mean(0)) ** 2).sum()
    assert error < 0.2
    assert reading.explained > 0.7
    assert reading.error < 0.05


def test_held_out_vectors_do_not_know_their_own():
    vectors = title_vectors(0.3)
    counts = np.full(len(TITLES), 20)
    before = fit_spelling(TITLES, vectors, counts).held_out
    vectors[17] += 100
    after = fit_spelling(TITLES, vectors, counts).held_out
    others = np.arange(len(TITLES)) != 17
    assert np.abs(after[17] - before[17]).max() < np.abs(after[others] - before[others]).max() / 10


def test_a_misspelt_name_takes_on_the_deviation_of_its_original():
    vectors, counts = title_vectors(1.0), np.full(len(TITLES), 1000)
    spelling = fit_spelling(TITLES, vectors, counts).spelling
    typos = [title[:9] + title[10:] for title in TITLES]
    found = []
    for own in (spelling, replace(spelling, deviations=np.zeros_like(spelling.deviations))):
        misspelt = np.array(own.read(typos))[:, :5]
        nearest = np.linalg.norm(misspelt[:, None] - vectors, axis=2).argmin(axis=1)
        found.append((nearest == np.arange(len(TITLES))).mean())
    assert found[0] > 0.7
    assert found[0] > found[1] + 0.2
    strange = np.array(spelling.read(["zoo keeper", "astronaut"]))[:, :5]
    assert np.abs(strange - vectors.mean(axis=0)).max() < 1


def test_ids_explain_nothing():
    rng = np.random.default_rng(1)
    names = [f"S{i:04d}" for i in rng.permutation(1000)[:400]]
    shares = [fit_spelling(names, rng.normal(size=(400, 6)), np.full(400, 9)).explained for _ in range(3)]
    assert max(shares) < 0.05


def test_equal_vectors_are_no_error():
    reading = fit_spelling(TITLES, np.ones((len(TITLES), 3)), np.full(len(TITLES), 4))
    assert reading.explained == 0
    assert np.allclose(reading.spelling.read(["new nurse"])[0][:3], 1)


def test_same_bits_alone_and_among_others():
    reading = fit_spelling(TITLES, title_vectors(0.3), np.full(len(TITLES), 5))
    one = reading.spelling
    fresh = replace(one)
    many = fresh.read([*TITLES[:50], "senior welder nrth", "junior clark"])[-2:]
    again = replace(one)
    alone = [again.read([name])[0] for name in ("senior welder nrth", "junior clark")]
    cached = [again.read([name])[0] for name in ("senior welder nrth", "junior clark")]
    assert np.array_equal(many, alone)
    assert np.array_equal(alone, cached)


def test_blend_is_by_count():
    own, spelled = np.ones((3, 2), np.float32), np.zeros((3, 2), np.float32)
    assert np.allclose(blend(own, spelled, np.array([0, 3, 997]))[:, 0], [0, 0.5, 0.997])

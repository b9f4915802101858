"""Columns whose names are read: typos land beside their originals, new names are predicted, ids are left alone."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from tables.encoder.test_spelling import RANKS, TITLES, TRADES
from unrolled.errors import FolderError, InputError
from unrolled.files import write_folder
from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.tables.encoder.folder import ARRAYS, CONFIG

SMALL = EncoderConfig(networks=2, hidden=(32,), min_steps=200, epochs=8)


def staff(rows=2400, seed=0, titles=TITLES):
    """Wages that rank and trade decide, and the size of an office that adds to them."""
    rng = np.random.default_rng(seed)
    rank = dict(zip(RANKS, np.linspace(-2, 2, len(RANKS)), strict=True))
    trade = dict(zip(TRADES, np.linspace(-3, 3, len(TRADES)), strict=True))
    title = rng.choice(titles, rows)
    size = rng.normal(size=rows)
    wage = [rank[t.split()[0]] + trade[t.split()[1]] for t in title] + 0.5 * size + 0.3 * rng.normal(size=rows)
    return pd.DataFrame({"title": title, "size": size}), np.array(wage)


def with_typo(title):
    """One letter left out of the trade."""
    at = title.index(" ") + 3
    return title[:at] + title[at + 1 :]


@pytest.fixture(scope="module")
def half():
    """An encoder that has seen every second title, its table, and rows of the titles that it has not."""
    rng = np.random.default_rng(3)
    seen = sorted(rng.permutation(TITLES)[: len(TITLES) // 2])
    X, y = staff(titles=seen)
    new, wages = staff(600, 1, sorted(set(TITLES) - set(seen)))
    return EntityEncoder(recipe=SMALL, random_state=0).fit(X, y), X, y, new, wages


def test_described_as_read(half):
    encoder, *_ = half
    assert "its names are read: their spelling explains" in encoder.describe()[0]


def test_a_typo_lands_beside_its_original(half):
    encoder, X, *_ = half
    known = sorted(set(X.title))
    vectors = encoder.transform(pd.DataFrame({"title": known, "size": 0.0}))
    wrong = encoder.transform(pd.DataFrame({"title": list(map(with_typo, known)), "size": 0.0}))
    distance = np.linalg.norm(vectors[:, None] - wrong[None], axis=2)
    rank = (distance < np.diag(distance)).sum(axis=0)
    assert np.median(rank) == 0
    assert np.mean(np.diag(distance)) < 0.5 * distance.mean()


def test_new_names_are_predicted_better_than_as_unknown(half):
    encoder, X, y, new, wages = half
    without = EntityEncoder(recipe=SMALL, random_state=0, spelling=None).fit(X, y)
    read, unread = (r2_score(wages, own.network_prediction(new)) for own in (encoder, without))
    assert read > 0.6
    assert read > unread + 0.3


def test_a_model_on_the_vectors_predicts_new_names(half):
    _, X, y, new, wages = half
    model = make_pipeline(EntityEncoder(recipe=SMALL, random_state=0), Ridge()).fit(X, y)
    assert r2_score(wages, model.predict(new)) > 0.6
    assert cross_val_score(clone(model), X, y, cv=3).min() > 0.8


def test_ids_are_left_alone():
    rng = np.random.default_rng(0)
    effect = rng.normal(size=200)
    shop = rng.integers(0, 200, 3000)
    X = pd.DataFrame({"shop": [f"S{i:03d}" for i in shop], "size": rng.normal(size=3000)})
    y = effect[shop] + 0.3 * rng.normal(size=3000)
    read, unread = (EntityEncoder(recipe=SMALL, random_state=0, spelling=s).fit(X, y) for s in ("auto", None))
    assert "differ in their digits alone" in read.describe()[0]
    assert np.array_equal(read.transform(X), unread.transform(X))
    new = X.head(5).assign(shop="S999")
    assert np.array_equal(read.transform(new), unread.transform(new))


def test_empty_and_unreadable_names_are_unknown(half):
    encoder, X, *_ = half
    rows = X.head(3).assign(title=["", "@@@@", "\0\0"], size=0.0)
    unknown = encoder.table("title").vectors[0] @ encoder.fitted_.vectors.axes[0]
    for row in encoder.transform(rows):
        assert np.allclose(row[: len(unknown)], unknown, atol=1e-6)
        assert not row[len(unknown) : len(unknown) + 30].any()


def test_missing_is_missing_and_not_read(half):
    encoder, X, *_ = half
    missing = encoder.transform(X.head(1).assign(title=None, size=0.0))[0]
    vector = encoder.table("title")["(missing)"] @ encoder.fitted_.vectors.axes[0]
    assert np.allclose(missing[: len(vector)], vector, atol=1e-6)


def test_output_is_named_and_finite(half):
    encoder, X, _, new, _ = half
    both = pd.concat([X.head(50), new.head(50)])
    out = encoder.transform(both)
    names = list(encoder.get_feature_names_out())
    assert out.dtype == np.float32
    assert out.shape == (100, len(names))
    assert np.isfinite(out).all()
    assert "title_spelling_0" in names
    assert len(set(names)) == len(names)


def test_rows_do_not_depend_on_their_neighbours(half):
    encoder, _, _, new, _ = half
    together = encoder.transform(new)
    assert np.array_equal(together[7:8], encoder.transform(new.iloc[7:8]))
    assert np.array_equal(together[::-1], encoder.transform(new.iloc[::-1]))


def test_same_seed_same_bits(half):
    encoder, X, y, new, _ = half
    again = EntityEncoder(recipe=SMALL, random_state=0).fit(X, y)
    assert np.array_equal(encoder.transform(new), again.transform(new))
    assert np.array_equal(encoder.network_prediction(new), again.network_prediction(new))


def test_saved_and_loaded_bits(half, tmp_path):
    encoder, X, _, new, _ = half
    encoder.save_pretrained(tmp_path / "it")
    loaded = EntityEncoder.from_pretrained(tmp_path / "it")
    both = pd.concat([X.head(20), new])
    assert np.array_equal(loaded.transform(both), encoder.transform(both))
    assert np.array_equal(loaded.network_prediction(both), encoder.network_prediction(both))
    assert loaded.describe() == encoder.describe()
    assert list(loaded.get_feature_names_out()) == list(encoder.get_feature_names_out())


def test_a_damaged_spelling_is_refused(half, tmp_path):
    encoder, *_ = half
    encoder.save_pretrained(tmp_path / "it")
    arrays = load_arrays((tmp_path / "it" / ARRAYS).read_bytes())
    name = next(name for name in arrays if name.endswith("spelling_vectors"))
    config = (tmp_path / "it" / CONFIG).read_bytes()
    write_folder(tmp_path / "cut", {CONFIG: config, ARRAYS: save_arrays(arrays | {name: arrays[name][:, :-1].copy()})})
    with pytest.raises(FolderError, match="spelling"):
        EntityEncoder.from_pretrained(tmp_path / "cut")
    del arrays[name]
    write_folder(tmp_path / "without", {CONFIG: config, ARRAYS: save_arrays(arrays)})
    with pytest.raises(FolderError, match="spelling_vectors"):
        EntityEncoder.from_pretrained(tmp_path / "without")


def test_two_normal_forms_are_one_category():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    X = pd.DataFrame({"place": [composed, "bar"] * 40})
    y = np.array([1.0, -1.0] * 40)
    encoder = EntityEncoder(recipe=SMALL, random_state=0).fit(X, y)
    two = encoder.transform(pd.DataFrame({"place": [composed, decomposed]}))
    assert np.array_equal(two[0], two[1])
    mixed = EntityEncoder(recipe=SMALL, random_state=0).fit(
        pd.DataFrame({"place": [composed, "bar", decomposed, "bar"] * 20}), y
    )
    assert mixed.table("place").names[3:] == encoder.table("place").names[3:]


def test_a_category_added_starts_from_its_spelling(half):
    encoder, *_ = half
    known = set(encoder.table("title").names)
    name = next(title for title in TITLES if title not in known)
    X, y = staff(2, 5, [name])
    before = encoder.transform(X)
    after = copy.deepcopy(encoder).add_category("title", name, X, y).transform(X)
    assert after.shape == before.shape
    unknown = encoder.transform(X.assign(title="@@@@"))
    assert np.linalg.norm(after - before) < np.linalg.norm(after - unknown)


@pytest.mark.parametrize(
    ("spelling", "sentence"),
    [("yes", "spelling is 'yes'"), (["titel"], "titel"), (["size"], "size")],
)
def test_a_wrong_setting_is_refused(spelling, sentence):
    X, y = staff(60)
    with pytest.raises(InputError, match=sentence):
        EntityEncoder(recipe=SMALL, spelling=spelling).fit(X, y)


def test_columns_can_be_named():
    X, y = staff(300, titles=TITLES[:40])
    named = EntityEncoder(recipe=SMALL, random_state=0, spelling=["title"]).fit(X, y)
    assert "names are read" in named.describe()[0]


def test_free_text_is_its_spelling_alone():
    X, y = staff(1500)
    rng = np.random.default_rng(0)
    notes = [f"{title}, office {rng.integers(10**6)}" for title in X.title]
    encoder = EntityEncoder(recipe=SMALL, random_state=0).fit(X.assign(title=notes), y)
    assert "free text: what its spelling tells of the target" in encoder.describe()[0]
    new, wages = staff(400, 9)
    assert r2_score(wages, encoder.network_prediction(new.assign(title=new.title + ", office 17"))) > 0.5


def test_several_categories_in_a_cell_are_the_mean_of_their_members(tmp_path):
    rng = np.random.default_rng(0)
    worth = dict(zip([f"skill {letter}" for letter in "abcdefghijklmnopqrst"], rng.normal(size=20), strict=True))
    sets = [rng.choice(list(worth), rng.integers(1, 6), replace=False).tolist() for _ in range(1500)]
    y = np.array([np.mean([worth[member] for member in one]) for one in sets]) + 0.1 * rng.normal(size=1500)
    X = pd.DataFrame({"skills": ["; ".join(one) for one in sets], "size": rng.normal(size=1500)})
    encoder = EntityEncoder(recipe=SMALL, random_state=0).fit(X[:1000], y[:1000])
    assert "sets parted by ';'" in encoder.describe()[0]
    assert r2_score(y[1000:], encoder.network_prediction(X[1000:])) > 0.8
    turned = pd.DataFrame({"skills": ["; ".join(one[::-1]) for one in sets], "size": X["size"]})
    assert encoder.transform(turned) == pytest.approx(encoder.transform(X), abs=1e-5)
    encoder.save_pretrained(tmp_path / "sets")
    assert np.array_equal(EntityEncoder.from_pretrained(tmp_path / "sets").transform(X), encoder.transform(X))


def test_parquet_reads_names_too(tmp_path, half):
    _, X, y, new, wages = half
    X.assign(wage=y).to_parquet(tmp_path / "staff.parquet")
    encoder = EntityEncoder(recipe=SMALL, random_state=0).fit_parquet(tmp_path / "staff.parquet", target="wage")
    assert r2_score(wages, encoder.network_prediction(new)) > 0.6


def test_no_warnings(half):
    encoder, _, _, new, _ = half
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.transform(new.head(1))

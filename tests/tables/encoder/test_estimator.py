"""EntityEncoder as laws: what must not matter does not, what is fitted stays fitted, what cannot be gets a sentence."""

import copy
import pickle
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline

from tables.shops import distances_follow_targets, shops
from unrolled.errors import InputError, MissingExtraError
from unrolled.tables.encoder import fitting
from unrolled.tables.encoder.config import PRESETS, EncoderConfig
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.tables.encoder.training import Training

TINY = EncoderConfig(networks=2, hidden=(8,), epochs=2, min_steps=20)


def tiny(**settings):
    return EntityEncoder(**{"recipe": TINY, "random_state": 0} | settings)


@pytest.fixture(scope="module")
def table():
    return shops()


@pytest.fixture(scope="module")
def fitted(table):
    return EntityEncoder(recipe="quick", random_state=0).fit(*table)


def test_explain_hides_one_column_at_a_time(fitted, table):
    row = table[0].iloc[[0]]
    told = fitted.explain(row)
    assert sorted(name for name, _ in told) == sorted(table[0].columns)
    assert [abs(moved) for _, moved in told] == sorted((abs(moved) for _, moved in told), reverse=True)
    assert dict(told)["shop"] == pytest.approx(
        (fitted.network_prediction(row) - fitted.network_prediction(row.assign(shop="never seen")))[0]
    )
    mean = table[0]["size"].mean()
    assert dict(told)["size"] == pytest.approx(
        (fitted.network_prediction(row) - fitted.network_prediction(row.assign(size=mean)))[0], rel=1e-3
    )
    with pytest.raises(InputError, match="one row"):
        fitted.explain(table[0].head(2))


def test_a_notebook_shows_how_each_column_is_coded(fitted):
    assert "categories -&gt; vectors" in fitted._repr_html_()
    assert "<ul>" not in EntityEncoder()._repr_html_().split("</style>")[-1]


def test_order_of_rows_does_not_matter(table):
    X, y = table
    order = np.random.default_rng(1).permutation(len(y))
    weight = np.random.default_rng(2).uniform(0.5, 2, len(y)).astype(np.float32)
    straight = tiny().fit_transform(X, y, sample_weight=weight)
    shuffled = tiny().fit_transform(X.iloc[order], y[order], sample_weight=weight[order])
    assert np.array_equal(straight[order], shuffled)


def test_order_of_columns_does_not_matter(table):
    X, y = table
    one, other = tiny().fit(X, y), tiny().fit(X[["size", "shop", "weekday"]], y)
    names = list(other.get_feature_names_out())
    places = [names.index(name) for name in one.get_feature_names_out()]
    assert np.array_equal(one.transform(X), other.transform(X[["size", "shop", "weekday"]])[:, places])


def test_names_of_categories_do_not_matter(table):
    X, y = table
    shuffled = np.random.default_rng(3).permutation(12)
    renamed = X.assign(shop=[f"t{shuffled[int(name[1:])]}" for name in X.shop])
    assert np.array_equal(tiny().fit_transform(X, y), tiny().fit_transform(renamed, y))


def test_same_seed_same_bits_and_another_seed_others(table):
    first, again, other = (tiny(random_state=seed).fit_transform(*table) for seed in (5, 5, 6))
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_frames_of_all_libraries_give_the_same(table):
    X, y = table
    expected = tiny().fit_transform(X, y)
    assert np.array_equal(tiny().fit_transform(pl.from_pandas(X), pl.Series(y)), expected)
    assert np.array_equal(tiny().fit_transform(X.astype(object), list(y)), expected)


def test_the_vectors_carry_what_the_shop_sells(table, fitted):
    X, y = table
    raw = cross_val_score(Ridge(), X[["weekday", "size"]], np.log(y)).mean()
    assert cross_val_score(Ridge(), fitted.transform(X), np.log(y)).mean() > max(raw, 0.8)
    error = np.mean(np.abs(fitted.network_prediction(X) - y) / y)
    assert error < 0.25
    assert distances_follow_targets(fitted, "shop") > 0.6


def test_output(table, fitted):
    X, _ = table
    out = fitted.transform(X)
    assert out.dtype == np.float32
    names = list(fitted.get_feature_names_out())
    assert (names[0], *names[-2:]) == ("shop_0", "size", "prediction")
    prediction = out[:, -1] * fitted.target_.deviation + fitted.target_.mean
    assert np.allclose(prediction, fitted.network_prediction(X), rtol=1e-4)
    assert out.shape == (len(X), len(fitted.get_feature_names_out()))
    for library, frame in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        named = clone(fitted).set_output(transform=library).fit(X.head(50), np.arange(50.0)).transform(X)
        assert isinstance(named, frame)
        assert "size" in list(named.columns)


def test_unknown_missing_and_rare_have_vectors_of_their_own(table):
    X, y = table
    X = X.assign(shop=X.shop.where(np.arange(len(X)) % 10 > 0, None))
    X.loc[X.index[:2], "shop"] = "seldom"
    encoder = tiny(min_frequency=3).fit(X, y)
    rows = pd.DataFrame({"shop": ["s01", None, "seldom", "never seen"], "weekday": 1, "size": 0.0})
    vectors = encoder.transform(rows)[:, : encoder.schema_.dimensions[0]]
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == 4
    with pytest.raises(InputError, match="'shop', row 3: the category 'never seen'"):
        tiny(handle_unknown="error").fit(X, y).transform(rows)


def test_missing_that_was_never_met_is_unknown(fitted):
    rows = pd.DataFrame({"shop": [None, "never seen"], "weekday": 1, "size": 0.0})
    first, second = fitted.transform(rows)
    assert np.array_equal(first, second)


def test_a_table_of_vectors_with_facts(table, fitted):
    X, y = table
    vectors = fitted.table("shop")
    assert vectors.names[:3] == ("(unknown)", "(missing)", "(rare)")
    assert len(vectors) == 15
    count = dict(zip(vectors.names, vectors.facts["count"], strict=True))
    assert count["s03"] == (X.shop == "s03").sum()
    mean = dict(zip(vectors.names, vectors.facts["target_mean"], strict=True))
    assert mean["s03"] == pytest.approx(y[X.shop == "s03"].mean())
    assert (vectors.facts["spread"] >= 0).all()
    axes = fitted.fitted_.vectors.axes[fitted.schema_.position("shop")]
    handed_on = fitted.transform(X[X.shop == "s03"].head(1))[0, : axes.shape[1]]
    assert np.allclose(vectors["s03"] @ axes, handed_on, atol=1e-6)
    assert np.allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-6)
    with pytest.raises(InputError, match="did you mean 'shop'"):
        fitted.table("shopp")
    with pytest.raises(InputError, match="has no vectors: it is constant, or a column of numbers"):
        fitted.table("size")


def test_classes_and_several_targets(table):
    X, y = table
    kinds = np.array(["low", "middle", "high"])[np.digitize(y, np.quantile(y, [0.3, 0.6]))]
    three = tiny().fit(X, kinds)
    assert three.target_.kind == "multiclass"
    assert three.network_prediction(X).shape == (len(y), 3)
    assert tiny().fit(X, kinds == "low").network_prediction(X).shape == (len(y), 2)
    both = tiny().fit(X, np.stack([y, -y], axis=1))
    assert both.network_prediction(X).shape == (len(y), 2)


@pytest.mark.parametrize("recipe", PRESETS)
@pytest.mark.parametrize("kind", ["continuous", "binary", "multiclass"])
def test_every_recipe_predicts_the_whole_range_of_every_target(table, recipe, kind):
    """A letter decides the target: the chance of a class comes near 0 and 1, a number near its smallest and largest."""
    X, _ = table
    X = X.assign(letter=np.array(["a", "b", "c"])[np.arange(len(X)) % 3])[["letter"]]
    y = {"a": 1.0, "b": 2.0, "c": 2.0 if kind == "binary" else 3.0}
    target = X.letter.map(y).to_numpy()
    settings = {"hidden": (64,), "min_steps": 300, "batch": 32, "networks": 1}
    encoder = tiny(recipe=replace(PRESETS[recipe], **settings), target_type=kind, log_target=False).fit(X, target)
    predicted = encoder.network_prediction(X)
    if kind == "continuous":
        assert np.abs(predicted - target).max() < 0.5
    else:
        assert predicted[np.arange(len(X)), target.astype(int) - 1].min() > 0.8


def test_categories_that_training_does_not_meet_have_the_vector_of_unknown(table):
    """Rows of weight 0, and rows kept for validation, teach nothing: so do the categories that only they have."""
    X, y = table
    unmet = (X.shop == "s03").to_numpy()
    held = unmet | (np.arange(len(y)) % 5 == 0)
    for validation, weight in (("auto", 1.0 - unmet), (held, None)):
        vectors = tiny(validation=validation).fit(X, y, sample_weight=weight).table("shop")
        assert np.array_equal(vectors["s03"], vectors["(unknown)"])
        assert not np.array_equal(vectors["s04"], vectors["(unknown)"])


def test_out_of_fold_rows_stand_in_the_order_given(table):
    """In the first fold, shop s00's held-out rows must not depend on their own target."""
    X, y = table
    held = np.arange(0, len(y), 4)
    pairs = [(np.setdiff1d(np.arange(len(y)), held), held)]
    encoder = tiny(cv=pairs, recipe=replace(TINY, shown_masked=0.0))
    out = encoder.fit_transform(X, y)
    assert encoder.out_of_fold_.nonzero()[0].tolist() == held.tolist()
    kept = np.setdiff1d(np.arange(len(y)), held)
    assert np.array_equal(out[kept], encoder.transform(X)[kept])
    assert not np.array_equal(out[held], encoder.transform(X)[held])
    assert np.array_equal(out[:, -1], encoder.transform(X)[:, -1])  # the number


def test_out_of_fold_vectors_do_not_know_their_own_target():
    """A column of ids with one row each tells nothing out of fold: every vector there is that of unknown."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": [f"i{i}" for i in range(60)], "other": rng.choice(["a", "b"], 60)})
    out = tiny(cv=3, recipe=replace(TINY, shown_masked=0.0)).fit_transform(X, rng.normal(size=60))
    width = tiny().fit(X, rng.normal(size=60)).fitted_.vectors.axes[0].shape[1]
    assert len(np.unique(out[:, :width], axis=0)) == 3


@pytest.mark.parametrize("cv", [3, TimeSeriesSplit(3), GroupKFold(3)], ids=["number", "time", "groups"])
def test_splitters(table, cv):
    X, y = table
    encoder = tiny(cv=cv, validation=TimeSeriesSplit(3))
    out = encoder.fit_transform(X, y, groups=X.weekday)
    assert out.shape == encoder.transform(X).shape
    assert np.isfinite(out).all()
    assert encoder.out_of_fold_.sum() == (300 if isinstance(cv, TimeSeriesSplit) else 400)


def test_scarce_categories_are_out_of_fold_by_default(table):
    plenty = tiny()
    plenty.fit_transform(*shops(1500))
    assert not plenty.out_of_fold_.any()
    scarce = tiny()
    scarce.fit_transform(*table)  # 33 rows per shop
    assert scarce.out_of_fold_.all()
    assert scarce.fitted_.weights.count == 5  # of which each holds out a fold


def test_a_row_does_not_know_its_own_target_by_default():
    """A category of a single row is unknown to the networks that held the row out."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": [f"i{i}" for i in range(60)], "other": rng.choice(["a", "b"], 60)})
    encoder = tiny(recipe=replace(TINY, shown_masked=0.0))
    out, width = encoder.fit_transform(X, rng.normal(size=60)), encoder.schema_.dimensions[0]
    assert len(np.unique(out[:, :width], axis=0)) <= 5  # the unknown vectors of five folds


def test_a_tenth_of_the_rows_show_one_category_as_unknown():
    X, y = shops(1500)
    encoder = tiny()
    out = encoder.fit_transform(X, y)
    axes = encoder.fitted_.vectors.axes[encoder.schema_.position("shop")]
    unknown = np.isclose(out[:, : axes.shape[1]], encoder.table("shop")["(unknown)"] @ axes, atol=1e-6).all(axis=1)
    assert 0.05 < unknown.mean() < 0.1
    changed = (out != encoder.transform(X)).any(axis=1)
    assert changed.mean() == pytest.approx(0.1)
    plain = tiny(cv=None)
    assert np.array_equal(plain.fit_transform(X, y), plain.transform(X))


def test_a_model_on_the_vectors_can_use_rows_of_unknown_categories():
    """Teams lie in departments. Of teams never seen only the department is known, and it is worth half of the variance.

    Without rows that show a team as new, the forest has an R² of -0.9 on them.
    """
    rng = np.random.default_rng(0)
    team = rng.integers(0, 200, 9000)
    y = 2 * rng.normal(size=20)[team // 10] + rng.normal(size=200)[team] + 0.3 * rng.normal(size=9000)
    X = pd.DataFrame({"team": [f"t{i}" for i in team], "department": [f"d{i // 10}" for i in team]})
    new = team % 10 >= 8
    for spelling, least in (("auto", 0.3), (None, 0.5)):
        encoder = EntityEncoder(random_state=0, spelling=spelling)
        model = make_pipeline(encoder, HistGradientBoostingRegressor(random_state=0))
        assert model.fit(X[~new], y[~new]).score(X[new], y[new]) > least


def test_ids_that_tell_nothing_are_not_learned():
    """Three columns of 1,500 ids and 6 % positives: a network that learns them has a log loss four times the base's."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: [f"{name}{i}" for i in rng.integers(0, 1500, 12_000)] for name in "abc"})
    y = (rng.random(12_000) < 0.06).astype(int)
    encoder = EntityEncoder(random_state=0, target_type="binary")
    learned = encoder.fit_transform(X[:9000], y[:9000])
    base = log_loss(y[9000:], np.full(3000, y[:9000].mean()))
    assert log_loss(y[9000:], encoder.network_prediction(X[9000:])[:, 1]) < 1.01 * base
    forest = HistGradientBoostingClassifier(random_state=0).fit(learned, y[:9000])
    assert log_loss(y[9000:], forest.predict_proba(encoder.transform(X[9000:]))[:, 1]) < 1.1 * base


def test_held_out_groups_stay_together(table, monkeypatch):
    X, y = table
    seen = []
    splits = fitting.Fit.splits
    monkeypatch.setattr(fitting.Fit, "splits", lambda *given: seen.extend(splits(*given)) or [])
    tiny(cv=3).fit_transform(X, y, groups=X.shop)
    assert len(seen) == 3
    for train, held in seen:
        assert not set(X.shop.iloc[train]) & set(X.shop.iloc[held])


def test_groups_are_routed_through_a_pipeline(table):
    X, y = table
    routed = []

    class Noting(GroupKFold):
        def split(self, X, y=None, groups=None):
            routed.append(groups)
            return super().split(X, y, groups)

    with sklearn.config_context(enable_metadata_routing=True):
        encoder = tiny(cv=Noting(2)).set_fit_request(groups=True, sample_weight=False)
        make_pipeline(encoder, Ridge()).fit(X, y, groups=X.weekday)
    assert [list(groups) for groups in routed] == [list(X.weekday)]


def test_in_a_grid_search(table):
    X, y = table
    search = GridSearchCV(make_pipeline(tiny(), Ridge()), {"entityencoder__dimensions": [1, {"shop": 3}]}, cv=2)
    assert search.fit(X, y).best_score_ > 0


@pytest.mark.parametrize("validation", [np.arange(360, 400), np.arange(400) >= 360, TimeSeriesSplit(9)])
def test_a_category_of_validation_rows_alone_is_unknown(table, validation):
    X, y = table
    X = X.assign(shop=np.where(np.arange(400) >= 360, "new", X.shop))
    one, other = X[360:361], X[360:361].assign(shop="never seen")
    encoder = tiny(validation=validation).fit(X, y)
    assert np.array_equal(encoder.transform(one), encoder.transform(other))
    encoder = tiny().fit(X, y)
    assert not np.array_equal(encoder.transform(one), encoder.transform(other))


def test_a_share_of_the_rows_is_left_to_validation(table):
    X, y = table
    encoder = tiny(validation=0.2).fit(X.assign(receipt=[f"row {i}" for i in range(400)]), y)
    assert len(np.unique(encoder.table("receipt").vectors, axis=0)) == 320 + 1  # all others have the unknown's


def test_interrupted_training_keeps_what_it_has(table, monkeypatch):
    X, y = table

    def interrupt(self):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "records", interrupt)
    encoder = tiny(cv=3)
    with pytest.warns(RuntimeWarning, match="interrupted") as told:
        out = encoder.fit_transform(X, y)
    assert encoder.interrupted_
    assert np.isfinite(out).all()
    assert len(told) == 1  # folds are not begun
    assert not encoder.out_of_fold_.any()


def test_interrupted_in_a_fold_keeps_the_folds_before_it(table, monkeypatch):
    X, y = table
    train = fitting.Fit._train

    def interrupt_the_second_fold(fit, split, seed, label="fit"):
        trained, _ = train(fit, split, seed, label)
        return trained, label == "fold 2 of 3"

    monkeypatch.setattr(fitting.Fit, "_train", interrupt_the_second_fold)
    encoder = tiny(cv=3)
    encoder.fit_transform(X, y)
    assert encoder.interrupted_
    assert 0 < encoder.out_of_fold_.sum() < len(y)


def test_pickled_and_cloned(table, fitted):
    X, _ = table
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
    assert clone(fitted).get_params()["recipe"] == "quick"


def test_verbose_tells_kinds_and_progress(table, capsys):
    tiny(verbose=1).fit(*table)
    told = capsys.readouterr().err
    assert "shop: 12 categories -> vectors of 6 (strings that differ in their digits alone)" in told
    assert "weekday: a number, scaled (whole numbers whose values tell nothing clear beyond their order)" in told
    assert "size: a number, scaled" in told
    assert "100%" in told


def test_transform_needs_no_pytorch(fitted, tmp_path):
    fitted.save_pretrained(tmp_path / "encoder")
    (tmp_path / "encoder.pickle").write_bytes(pickle.dumps(fitted))
    code = f"""
        import pickle, sys
        import pandas as pd
        from unrolled import EntityEncoder
        rows = pd.DataFrame({{"shop": ["s01", "new"], "weekday": 1, "size": 0.5}})
        loaded = EntityEncoder.from_pretrained({str(tmp_path / "encoder")!r})
        pickled = pickle.load(open({str(tmp_path / "encoder.pickle")!r}, "rb"))
        assert (loaded.transform(rows) == pickled.transform(rows)).all()
        loaded.network_prediction(rows), loaded.table("shop").nearest("s01")
        assert "torch" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_where_pytorch_is_missing_fitting_says_so_and_using_works(fitted, table, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    X, y = table
    fitted.transform(X)
    for asked in (lambda: tiny().fit(X, y), lambda: copy.deepcopy(fitted).add_category("shop", "new", X[:5], y[:5])):
        with pytest.raises(MissingExtraError, match=r"needs torch, .* 'unrolled\[train\]'"):
            asked()


CELLS = st.one_of(st.none(), st.sampled_from(["a", "b", "c", ""]))


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_odd_tables_give_finite_vectors(data):
    rows = data.draw(st.integers(2, 12))
    strings = data.draw(st.lists(CELLS, min_size=rows, max_size=rows).filter(any))
    reals = data.draw(hnp.arrays(np.float64, rows, elements=st.floats(-1e9, 1e9) | st.just(np.nan)))
    reals[0] = 0.0
    uneven = st.floats(-100, 100).map(lambda v: round(v, 3) + 0.0005)
    y = data.draw(hnp.arrays(np.float64, rows, elements=uneven, unique=True))
    X = pd.DataFrame({"word": np.array([s or None for s in strings], dtype=object), "real": reals})
    if X.word.isna().all():
        return
    smallest = EncoderConfig(networks=1, hidden=(4,), epochs=1, min_steps=2)
    encoder = EntityEncoder(recipe=smallest, random_state=0, cv=None)
    out = encoder.fit_transform(X, y)
    assert np.isfinite(out).all()
    assert out.shape == (rows, len(encoder.get_feature_names_out()))
    assert np.array_equal(out, encoder.transform(X))


GOOD = pd.DataFrame({"a": ["x", "y", "x", "y"], "n": [1.5, 2.5, 3.5, 4.5]})
Y = np.array([1.5, 2.5, 3.5, 4.0])


@pytest.mark.parametrize(
    ("X", "y", "settings", "sentence"),
    [
        (GOOD, None, {}, "y is None"),
        (GOOD, Y[:3], {}, "3 rows, but the table has 4"),
        (GOOD, [1.5, np.nan, 3.5, 4.0], {}, r"target has no value \(NaN\) in row 1"),
        (GOOD, [1.5, np.inf, 3.5, 4.0], {}, r"target is infinite \(inf\) in row 1"),
        (GOOD, [2.5] * 4, {}, "target is constant: every row is 2.5"),
        (GOOD, ["p", None, "q", "q"], {}, r"target has no value \(NaN\) in row 1"),
        (GOOD.assign(a=[1, "b", 2, "c"]), Y, {}, "'a' mixes whole numbers and strings, for example 2 and 'c'"),
        (pd.concat([GOOD, GOOD], axis=1), Y, {}, "duplicate column name 'a'"),
        ("table.csv", Y, {}, "a table was expected .*, not a str"),
        (Path("table.csv"), Y, {}, "a table was expected .*, not a P.*Path"),
        ((row for row in GOOD.to_numpy()), Y, {}, "a table was expected .*, not a generator"),
        (GOOD.head(1), Y[:1], {}, "1 sample"),
        (GOOD.assign(a=None), Y, {}, "'a' has no values"),
        (GOOD, Y, {"dimensions": {"b": 2}}, "unknown column 'b'"),
        (GOOD, Y, {"dimensions": 0}, "dimension of column 'a' is 0"),
        (GOOD, Y, {"dimensions": "big"}, "'big', but must be 'auto'"),
        (GOOD, Y, {"recipe": "defualt"}, "did you mean 'default'"),
        (GOOD, Y, {"n_networks": 0}, "n_networks is 0"),
        (GOOD, Y, {"handle_unknown": "ignore"}, "handle_unknown is 'ignore'"),
        (GOOD, Y, {"validation": 1.5}, "validation is 1.5"),
        (GOOD, Y, {"validation": [0, 1, 2, 3]}, "keeps 4 of 4 rows out"),
        (GOOD, Y, {"validation": [9]}, "names row 9"),
        (GOOD, Y, {"validation": [-1, 3]}, "names row -1, but the table has rows 0 to 3"),
        (GOOD, Y, {"cv": [([0, 1], [2, 4])]}, "cv names row 4, but the table has rows 0 to 3"),
        (GOOD, Y, {"n_jobs": -2}, "n_jobs is -2, but must be None, -1"),
        (GOOD, Y, {"random_state": -1}, "random_state is -1, but must be a whole number from 0"),
        (GOOD, Y, {"cv": 1}, "1 folds of 4 rows cannot be made"),
        (GOOD, Y, {"cv": 9}, "9 folds of . rows cannot be made"),
        (GOOD, Y, {"cv": "five"}, "cv is 'five'"),
        (GOOD, Y, {"cv": [([0, 1], [2, 3]), ([2, 3], [1, 2])]}, "holds row 2 out 2 times"),
        (GOOD, Y, {"min_frequency": 0}, "min_frequency is 0"),
        (GOOD, Y, {"min_frequency": "a"}, "min_frequency is 'a'"),
    ],
)
def test_bad_input_to_fit_gets_a_sentence(X, y, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        tiny(**settings).fit_transform(X, y)


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (pd.DataFrame({"shop": [1], "weekday": [1], "size": [0.0]}), "'shop' was fitted on strings, .* for example 1"),
        (pd.DataFrame({"shop": ["s01"], "weekday": ["1"], "size": [0.0]}), "'weekday' was fitted on numbers"),
        (pd.DataFrame({"shop": ["s01"], "weekday": [1], "size": ["big"]}), "'size' was fitted on numbers"),
        (pd.DataFrame({"shop": ["s01"], "weekday": [1]}), "size"),
        (pd.DataFrame({"weekday": [1], "shop": ["s01"], "size": [0.0]}), "same order"),
        (pd.DataFrame({"shop": ["s01"], "weekday": [1], "size": [-np.inf]}), "'size' holds an infinite number"),
    ],
)
def test_bad_input_to_transform_gets_a_sentence(fitted, X, sentence):
    with pytest.raises(InputError, match=sentence):
        fitted.transform(X)


def test_a_fit_that_fails_leaves_an_unfitted_encoder(table):
    encoder = tiny().fit(*table)
    with pytest.raises(InputError):
        encoder.fit(GOOD, Y, sample_weight=[0, 0, 0, 0])
    with pytest.raises(NotFittedError):
        encoder.transform(GOOD)


def test_bad_weights_get_a_sentence():
    for weight in ([1, 2], [1, 1, 1, -1], [0, 0, 0, 0], [1, 1, 1, np.nan]):
        with pytest.raises(InputError, match="sample_weight"):
            tiny().fit(GOOD, Y, sample_weight=weight)


def test_no_row_left_to_train_on_gets_a_sentence():
    with pytest.raises(InputError, match="no row is left to train on"):
        tiny(validation=[0, 1]).fit(GOOD, Y, sample_weight=[1, 1, 0, 0])


def test_a_fold_without_a_class_still_gives_vectors():
    """The classes are those of all rows, so a network that has met one of them only is no error."""
    labels = ["p", "p", "q", "q"]
    encoder = tiny(cv=[([0, 1], [2, 3])])
    assert np.isfinite(encoder.fit_transform(GOOD, labels)).all()
    assert encoder.network_prediction(GOOD).shape == (4, 2)


def test_one_category_with_a_gap_is_fine():
    out = tiny().fit_transform(pd.DataFrame({"a": ["x", None]}), [1.5, 2.0])
    assert out.shape == (2, 2)  # the vector and the mean
    assert np.isfinite(out).all()


@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_constant_is_left_out_and_costs_nothing(table, tmp_path, streamed):
    X, y = table[0].head(80)[["shop"]].copy(), table[1][:80]
    plain = tiny().fit(X, y)
    X["country"], X["rate"] = "DE", 0.1  # of 80 times 0.1 the mean is not 0.1
    X["day"] = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.arange(80) % 9, "D")
    if streamed:
        X.assign(y=y).to_parquet(tmp_path / "x.parquet", row_group_size=30)
    encoder = tiny().fit_parquet(tmp_path / "x.parquet", "y", buffer=30) if streamed else tiny().fit(X, y)
    names = ["country: constant, left out (every row holds DE)", "rate: constant, left out (every row holds 0.1)",
             "day_year: constant, left out (every row holds 2024)"]  # fmt: skip
    assert set(names) <= set(encoder.describe())
    shown = {name.split("_")[0] for name in encoder.get_feature_names_out()} - {"prediction"}
    assert shown == {"shop", "day"}
    encoder.save_pretrained(tmp_path / "encoder")
    assert np.array_equal(EntityEncoder.from_pretrained(tmp_path / "encoder").transform(X), encoder.transform(X))
    if not streamed:
        same = tiny().fit(X.drop(columns="day"), y)
        assert np.array_equal(same.transform(X.drop(columns="day")), plain.transform(X[["shop"]]))
    named = {"dimensions": {"country": 2}, "spelling": ["country"]}  # as in a fold where a column is constant
    given, other = tiny(**named).fit(X, y), tiny(dimensions={}, spelling=None).fit(X, y)
    assert np.array_equal(given.transform(X), other.transform(X))
    alone = tiny().fit(X[["rate"]], y)
    assert alone.transform(X[["rate"]]).shape == (80, 0)
    assert np.isfinite(alone.network_prediction(X[["rate"]])).all()

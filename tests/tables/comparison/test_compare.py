"""The comparison: encodings that see training rows only, folds shared by all, metrics, words, pages, hostile input."""

import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import log_loss, mean_absolute_percentage_error, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import TimeSeriesSplit

from unrolled.errors import InputError, MissingExtraError
from unrolled.tables.comparison.charts import figure
from unrolled.tables.comparison.compare import compare_encodings
from unrolled.tables.comparison.effects import ComparisonCell
from unrolled.tables.comparison.encodings import ENCODINGS, Fold, Roles, assign_roles, installed
from unrolled.tables.comparison.measure import Measured, measure
from unrolled.tables.comparison.models import MODELS
from unrolled.tables.comparison.result import Comparison, check_ending
from unrolled.tables.data.demo import demo_table
from unrolled.tables.data.metrics import METRICS
from unrolled.tables.data.table import Table
from unrolled.tables.data.target import TargetColumn, split_target

FEW: dict[str, Any] = {
    "models": ("nearest neighbours", "HistGradientBoosting", "linear", "network"),
    "encodings": ("codes", "one-hot", "target", "embeddings", "native"),
    "cv": 2,
    "seeds": 1,
    "networks": 1,
}


@pytest.fixture(scope="module")
def demo() -> Comparison:
    table = demo_table(0, 1200, 30).frame
    return compare_encodings(table, "Sales", **FEW)


def made(means: dict[tuple[str, str], list[float]], metric: str = "rmse") -> Comparison:
    """A comparison of given errors by fold, two seeds of two folds."""
    cells = [
        ComparisonCell(model, encoding, tuple(np.reshape(folds, (2, 2)).mean(axis=1).tolist()), tuple(folds), 0.5)
        for (model, encoding), folds in means.items()
    ]
    return Comparison("y", "continuous", metric, False, tuple(cells), (), 100, 100, 2, 2, 4, 1.0)


def test_on_the_demo_embeddings_help_where_a_model_cannot_find_the_map_itself(demo: Comparison) -> None:
    effects = {effect.model: effect for effect in demo.effects()}
    assert effects["nearest neighbours"].change < -0.2
    assert effects["nearest neighbours"].interval[0] < effects["nearest neighbours"].change
    assert demo.log_target
    assert demo.models == list(FEW["models"])
    assert demo.cell("linear", "native") is None
    inside = demo.cell("network", "native")
    assert inside is not None
    assert inside.mean < min(demo.cell("network", e).mean for e in ("codes", "target"))


def test_every_cell_is_judged_on_the_same_folds_and_repeats_bit_by_bit(demo: Comparison) -> None:
    fewer = FEW | {"models": ("linear",), "encodings": ("codes", "one-hot", "target")}
    again = compare_encodings(demo_table(0, 1200, 30).frame, "Sales", **fewer)
    for cell in again.cells:
        assert demo.cell("linear", cell.encoding).by_fold == cell.by_fold
    assert len({len(cell.by_fold) for cell in demo.cells}) == 1


def test_the_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    y, p = random.uniform(1, 9, 50), random.uniform(1, 9, 50)
    assert METRICS["rmse"].error(p, y) == pytest.approx(root_mean_squared_error(y, p))
    assert METRICS["mape"].error(p, y) == pytest.approx(mean_absolute_percentage_error(y, p))
    chances = random.dirichlet([1, 1, 1], 60)
    classes = np.arange(60) % 3
    assert METRICS["log-loss"].error(chances, classes) == pytest.approx(log_loss(classes, chances))
    assert METRICS["error"].error(chances, classes) == pytest.approx((chances.argmax(1) != classes).mean())
    two, second = chances[:, :2] / chances[:, :2].sum(1, keepdims=True), np.arange(60) % 2
    assert METRICS["1-auc"].error(two, second) == pytest.approx(1 - roc_auc_score(second, two[:, 1]))


@pytest.mark.parametrize("name", ["codes", "one-hot", "target"])
def test_an_encoding_of_training_rows_does_not_know_the_rows_kept_back(name: str) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"c": random.choice([*"abcd"], 60), "n": random.normal(size=60)})
    features, target = split_target(Table.read(table.assign(y=random.normal(size=60))), "y")
    roles = assign_roles(features)
    train, test = np.arange(40), np.arange(40, 60)
    learned, judged = encoded(name, roles, train, test, target)
    changed = table.copy()
    changed.loc[50:, "c"] = "never seen"
    same, unseen = encoded(name, assign_roles(Table.read(changed)), train, test, target)
    assert _dense(learned) == pytest.approx(_dense(same))
    assert _dense(judged)[:10] == pytest.approx(_dense(unseen)[:10])
    assert np.isfinite(_dense(unseen)).all()


def encoded(
    name: str, roles: Roles, train: np.ndarray, test: np.ndarray, target: TargetColumn
) -> tuple[object, object]:
    found = ENCODINGS[name].encode(Fold(roles.take(train), roles.take(test), target.take(train), 0))
    return found.train, found.test


def native(train: pd.DataFrame, test: pd.DataFrame, levels: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    learned, judged = (assign_roles(Table.read(part)) for part in (train, test))
    number = split_target(Table.read(pd.DataFrame({"y": np.arange(len(train)) * 1.5, "x": 0})), "y")[1]
    found = ENCODINGS["native"].encode(Fold(learned, judged, number, 0, levels=levels))
    return found.train, found.test


def _dense(table: object) -> np.ndarray:
    return table.toarray() if hasattr(table, "toarray") else np.asarray(table)


def test_native_categories_merge_beyond_the_limit_and_unseen_ones_are_missing() -> None:
    train = pd.DataFrame({"c": [f"v{i % 6 % (1 + i % 5)}" for i in range(300)], "n": np.arange(300) / 7})
    test = pd.DataFrame({"c": ["v0", "v4", "new"] * 20, "n": np.arange(60) / 7})
    learned, judged = native(train, test, 3)
    first, second = learned["c0"].cat.categories, judged["c0"].cat.categories
    assert len(first) == 3
    assert "(other)" in first
    assert judged["c0"].isna().tolist()[:3] == [False, False, True]
    assert list(second) == list(first)


def test_a_category_called_other_keeps_its_name_beside_the_merged_ones() -> None:
    table = pd.DataFrame({"c": ["(other)"] * 9 + ["a"] * 8 + [*"bcd"]})
    learned, _ = native(table, table, 3)
    assert learned["c0"].value_counts().to_dict() == {"(other)": 9, "a": 8, "(other)'": 3}


def test_roles_split_dates_and_follow_the_rule_of_the_encoder() -> None:
    rows = 100
    numbers = np.arange(rows)
    table = pd.DataFrame({"day": pd.date_range("2024", periods=rows), "few": numbers % 4, "x": numbers / 3,
                          "many": numbers, "gaps": [None, "a"] * 50})  # fmt: skip
    roles = assign_roles(Table.read(table))
    assert roles.categories == ("day_year", "day_month", "day_day", "day_weekday", "few", "gaps")
    assert roles.numbers == ("day_yearday", "x", "many")
    assert "many" in assign_roles(Table.read(table), categories=("many",)).categories


def test_missing_values_classes_and_an_own_metric() -> None:
    random = np.random.default_rng(0)
    rows = 240
    group = random.integers(0, 8, rows)
    table = pd.DataFrame({"g": [None if random.random() < 0.1 else f"g{i}" for i in group],
                          "n": np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows)),
                          "flag": random.random(rows) < 0.5, "constant": 1,
                          "y": np.array(["no", "yes", "maybe"])[group % 3]})  # fmt: skip
    result = compare_encodings(table, "y", metric="error", **FEW)
    assert all(0 <= cell.mean <= 1 for cell in result.cells)
    assert result.best("HistGradientBoosting").mean < 0.3
    assert any("constant" in note for note in result.notes)
    assert not result.log_target


def test_skrub_and_texts_are_read_where_they_are_installed() -> None:
    """Names never seen are read by their spelling; a table without texts of many values has nothing for CatBoost's."""
    pytest.importorskip("skrub")
    pytest.importorskip("catboost")
    numbers = np.arange(240)
    titles = [f"{('Senior clerk', 'Junior chief')[i % 2]} {i % 120:03d}" for i in numbers]
    table = pd.DataFrame({"title": titles, "gap": [None, "a", "b"] * 80, "y": numbers % 2 * 5.0 + numbers % 7})
    wanted = {"encodings": ("one-hot", "skrub", "native", "text"), "seeds": 1}
    seen_first = [(np.flatnonzero(numbers % 120 < 80), np.flatnonzero(numbers % 120 >= 80))]
    read = compare_encodings(table, "y", models=("linear", "CatBoost"), cv=seen_first, **wanted)
    assert read.cell("linear", "skrub").mean < 0.9 * read.cell("linear", "one-hot").mean
    assert read.cell("CatBoost", "text").mean < 0.9 * read.cell("CatBoost", "native").mean
    few = compare_encodings(table.drop(columns="title"), "y", models=("CatBoost",), cv=2, **wanted)
    assert few.cell("CatBoost", "text") is None
    assert (
        "CatBoost with native and text was left out: no column of strings has more than 40 values of words that recur"
        in few.notes
    )


def test_the_interval_is_that_of_the_corrected_resampled_t_test() -> None:
    """Nadeau and Bengio (2003): the variance of the mean of n differences is (1/n + judged/learned) times theirs."""
    cells = made({("linear", "codes"): [10, 11, 10, 12], ("linear", "embeddings"): [8, 10, 9, 10.5]}).cells
    differences = np.array([-2, -1, -1, -1.5])
    reach = stats.t.ppf(0.975, 3) * differences.std(ddof=1) * np.sqrt(1 / 4 + 1)
    assert cells[1].difference(cells[0]) == pytest.approx((-1.375 - reach, -1.375 + reach))
    assert not cells[1].differs_from(cells[0])


class Judged:
    """A fold of which the errors are known."""

    def __init__(self, errors: dict[str, float]) -> None:
        self.known = errors

    def errors(self, model: str, encoding: str, metrics: list[str]) -> tuple[list[float], float]:
        return [self.known[encoding]], 0.1

    def clear(self) -> None:
        pass


def test_it_ends_with_the_second_seed_where_the_verdict_is_clear_by_then() -> None:
    pairs = [("linear", "codes"), ("linear", "embeddings")]

    def measured(gain: float) -> Measured:
        noise = [0.0, 0.1, -0.1, 0.05] * 4
        runs = [partial(Judged, {"codes": 3.0, "embeddings": 3 - gain + n}) for n in noise[:12]]
        return measure(runs, pairs, ["rmse"], 3)

    clear, unclear = measured(1.0), measured(0.05)
    assert (clear.done, clear.settled_after) == (6, 2)
    assert (unclear.done, unclear.settled_after) == (12, None)


def test_the_area_stands_beside_the_log_loss_of_two_classes() -> None:
    group = np.random.default_rng(0).integers(0, 4, 200)
    table = pd.DataFrame({"g": [f"g{i}" for i in group], "y": np.array(["no", "yes"])[group % 2]})
    result = compare_encodings(table, "y", models=("linear",), encodings=("codes", "one-hot"), cv=2, seeds=1)
    assert result.beside == "1-auc"
    assert result.cell("linear", "one-hot").beside == 0
    assert "AUC 1.000" in result.to_markdown()
    assert repr(result) == "Comparison('y', log-loss, 1 models x 2 encodings, 1 seeds of 2 folds)"


def test_the_boosting_libraries_that_are_here_take_native_categories() -> None:
    names = [name for name in ("LightGBM", "XGBoost", "CatBoost") if name in installed(MODELS)]
    if not names:
        pytest.skip("none of LightGBM, XGBoost and CatBoost is installed")
    odd = {"Shop": "Shop [number]", "Month": "<month, day>", "Weekday": 'a:"b"'}
    table = demo_table(0, 400, 8).frame.rename(columns=odd)
    result = compare_encodings(table, "Sales", models=tuple(names), cv=2, seeds=1, encodings=("target", "native"))
    assert {(c.model, c.encoding) for c in result.cells} == {(n, e) for n in names for e in ("target", "native")}
    assert all(np.isfinite(c.mean) for c in result.cells)


def test_the_words_follow_the_figures() -> None:
    better = {("linear", "codes"): [10, 11, 10, 11], ("linear", "embeddings"): [8, 9, 8, 9.1]}
    said = made(better).verdict()
    assert said.startswith(
        "Embeddings helped here: of all models the best with them is linear with embeddings, 8.525, and the best "
        "without linear with raw codes, 10.500 (18.8% less error, 95% interval -20.5% to -17.1%"
    )
    assert "less error for 1 of 1 (linear -18.8%)" in said
    worse = {key: better[other] for key, other in zip(better, reversed(better), strict=True)}
    assert made(worse).verdict().startswith("Embeddings did not help here")
    assert "more error for 1 of 1 (linear +23" in made(worse).verdict()
    even = {("linear", "codes"): [10, 11, 10, 11], ("linear", "embeddings"): [11, 10, 10.1, 11]}
    assert made(even).verdict().startswith("Embeddings made no clear difference to the best result")
    assert made({("linear", "codes"): [1, 1, 1, 1]}).verdict().startswith("There is nothing to compare")


def test_one_favourable_model_does_not_decide_and_every_model_is_named() -> None:
    folds, without = (0.0, 0.1, 0.0, 0.1), {"network": 12, "linear": 9, "forest": 8}
    with_them = {"network": 7, "linear": 9.6, "forest": 8.5}
    errors = {(model, "codes"): [value + f for f in folds] for model, value in without.items()}
    errors |= {(model, "embeddings"): [value + f for f in folds] for model, value in with_them.items()}
    said = made(errors).verdict()
    assert said.startswith("Embeddings gave the lowest error here, but did not help most models")
    assert "the best without forest with raw codes, 8.050" in said
    assert "less error for 1 of 3 (network -41" in said
    assert "more error for 2 of 3 (linear +6.6%, forest +6.2%)" in said
    same = {key: [value + 3 * (i % 2) for i, value in enumerate(folds)] for key, folds in errors.items()}
    assert all(model in made(same).verdict() for model in without)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_comparison_that_is_stopped_keeps_the_folds_that_are_done(stop: signal.Signals) -> None:
    table = demo_table(0, 200, 8).frame
    settings = {"models": ("linear",), "encodings": ("codes", "one-hot"), "cv": 2, "seeds": 2}
    whole = compare_encodings(table, "Sales", **settings)

    def stopping(after: float) -> Callable[[str, float], None]:
        return lambda _, share: os.kill(os.getpid(), stop) if share >= after else None

    with pytest.warns(RuntimeWarning, match="stopped early, after 2 of 4 folds"):
        part = compare_encodings(table, "Sales", progress=stopping(0.5), **settings)
    assert part.interrupted
    assert part.folds_done == 2
    assert not whole.interrupted
    for cell, full in zip(part.cells, whole.cells, strict=True):
        assert cell.by_fold == full.by_fold[:2]
        assert cell.by_seed == full.by_seed[:1]
    assert any("after 2 of 4 folds" in note for note in part.notes)
    with pytest.warns(RuntimeWarning, match="ready in the first fold"):
        first = compare_encodings(table, "Sales", progress=stopping(0.0), **settings)
    assert [cell.by_fold for cell in first.cells] == [whole.cells[0].by_fold[:1]]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_an_error_of_nothing_is_compared_in_words() -> None:
    perfect = {("linear", "codes"): [0.0] * 4, ("linear", "embeddings"): [0.1, 0.11, 0.1, 0.11]}
    comparison = made(perfect, "error")
    assert "Embeddings did not help here" in comparison.verdict()
    assert "some error where there was none" in comparison.verdict()
    assert "more error for 1 of 1 (linear up from 0)" in comparison.verdict()
    assert "up from 0" in {text.get_text() for text in figure(comparison.cells, "error").axes[0].texts}
    assert json.loads(json.dumps(comparison.to_dict(), allow_nan=False))["effects"][0]["change"] is None
    even = made({key: [0.0] * 4 for key in perfect}, "error")
    assert even.verdict().startswith("Embeddings made no clear difference to the best result")
    assert even.effects()[0].change == 0


def test_a_page_needs_no_matplotlib_and_a_figure_without_it_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    made({("linear", "codes"): [1, 2, 1, 2], ("linear", "embeddings"): [1, 1, 1, 1]}).save(tmp_path / "c.html")
    assert "<svg" in (tmp_path / "c.html").read_text(encoding="utf-8")
    check_ending(tmp_path / "c.html")
    with pytest.raises(MissingExtraError, match=r"'unrolled\[plot\]'"):
        check_ending(tmp_path / "c.png")


@pytest.mark.parametrize("kind", ["number", "classes"])
def test_few_rows_in_the_order_of_time(kind: str) -> None:
    """Nine rows to learn from, in which one column is still empty and a class is rare; without a word of warning."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({"a": [*"xyz"] * 10, "late": [None] * 15 + [*"pq"] * 7 + ["p"], "n": random.normal(size=30)})
    table["y"] = random.normal(size=30) if kind == "number" else [*"ababcabcd"] + [*"abcd"] * 5 + ["a"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compare_encodings(table, "y", cv=[(np.arange(9), np.arange(9, 30))], seeds=1, networks=1)
    assert all(np.isfinite(cell.by_fold).all() for cell in result.cells)
    assert set(result.models) == {name for name in installed(MODELS) if not MODELS[name].slow}


def test_the_network_with_embeddings_inside_counts_as_embeddings() -> None:
    inside = {("network", "one-hot"): [10, 11, 10, 11], ("network", "native"): [5, 5.1, 5, 5.1],
              ("network", "embeddings"): [12, 12, 12, 12]}  # fmt: skip
    comparison = made(inside)
    assert "the best with them is the network with embeddings inside, 5.05" in comparison.verdict()
    assert comparison.effects()[0].other == "one-hot"


def test_the_figure_says_nothing_of_minus_nothing() -> None:
    even = {("linear", "codes"): [10, 11, 10, 11], ("linear", "embeddings"): [10, 11, 10, 10.99]}
    (axes,) = figure(made(even).cells, "error").axes
    assert "0 %" in {text.get_text() for text in axes.texts}


def test_renderings_mark_the_best_and_are_self_contained(demo: Comparison, tmp_path: Path) -> None:
    for ending in (".html", ".md", ".json", ".png"):
        demo.save(tmp_path / f"c{ending}")
    text = (tmp_path / "c.md").read_text(encoding="utf-8")
    assert text.count("**") == 2 * len(demo.models)
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert page.count('class="number best"') == len(demo.models)
    assert not any(mark in page for mark in ("http:", "https:", "src=", "<script", "<link", "@import"))
    plain = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert plain["verdict"] == demo.verdict()
    assert len(plain["cells"]) == len(demo.cells)
    assert plain["cells"][0]["spread"] is None  # one seed has no spread
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match=r"ends in '\.gif'"):
        demo.save(tmp_path / "c.gif")


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        ({}, {"metric": "rsme"}, "unknown metric 'rsme': did you mean 'rmse'"),
        ({}, {"metric": "log-loss"}, "'log-loss' does not fit the continuous target 'y': choose rmse"),
        ({"y": np.arange(40)}, {"metric": "mape"}, "'y' is 0 in 1 of 40 rows used: choose rmse or mae"),
        ({}, {"models": ("lineer",)}, "unknown model 'lineer': did you mean 'linear'"),
        ({}, {"encodings": ("onehot",)}, "unknown encoding 'onehot': did you mean 'one-hot'"),
        ({}, {"ignore": ("d",)}, "unknown column 'd'"),
        ({"c": np.arange(40) / 3}, {}, "no column holds categories"),
        ({"c": "a"}, {}, "every column is the same in every row"),
        ({"c": [np.inf, *range(39)]}, {}, "'c' holds an infinite number in row 0"),
        ({"y": ["a"] * 39 + ["b"]}, {}, "'y' is 'b' in only 1 of the 40 rows used"),
        ({}, {"seeds": 0}, "must be positive"),
        ({}, {"seed": -1}, "seed is -1, but must be a whole number from 0"),
        (
            {"y": [*"ab"] * 15 + ["a"] * 10},
            {"metric": "1-auc", "cv": TimeSeriesSplit(4)},
            "'1-auc' needs both classes of 'y', but fold 4 holds out rows of one only",
        ),
        ({}, {"cv": TimeSeriesSplit(39)}, "fold 1 of the splitter has 1 training rows and 1 test rows"),
    ],
)
def test_what_cannot_be_compared_is_said(columns: dict[str, object], settings: dict[str, object], message: str) -> None:
    table = pd.DataFrame({"c": [*"ab"] * 20, "y": np.arange(1, 41) * 1.5} | columns)
    with pytest.raises(InputError, match=message):
        compare_encodings(table, "y", **FEW | settings)


def test_a_model_whose_library_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "Forest of Oz", MODELS["linear"].__class__(MODELS["linear"].make, library="not_here"))
    assert "Forest of Oz" not in installed(MODELS)
    with pytest.raises(InputError, match="'Forest of Oz' needs not_here, which is not installed"):
        compare_encodings(demo_table(0, 100, 8).frame, "Sales", **FEW | {"models": ("Forest of Oz",)})


def test_folds_given_as_rows() -> None:
    """Pairs of train and test rows are folds like any other, and one that lacks a class is told by its number."""
    table = pd.DataFrame({"a": ["x", "y", "z"] * 20, "y": ["p"] * 40 + ["q"] * 20})
    halves = [(np.arange(0, 60, 2), np.arange(1, 60, 2))]
    settings = {"models": ("linear",), "seeds": 1, "networks": 1}
    assert compare_encodings(table, "y", cv=halves, **settings).folds == 1
    with pytest.raises(InputError, match="fold 1 has no row of class 'q' of 'y'"):
        compare_encodings(table, "y", cv=[(np.arange(40), np.arange(40, 60))], **settings)
    with pytest.raises(InputError, match="cv is a str, but must be") as caught:
        compare_encodings(table, "y", cv="x" * 200, **settings)
    assert len(str(caught.value)) < 200

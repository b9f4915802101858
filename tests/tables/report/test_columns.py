"""The column report: the cases that column tools get wrong, laws of invariance, hostile tables, its renderings."""

import json
import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, TimeSeriesSplit

from data import shared_data
from unrolled.errors import InputError
from unrolled.tables.data.table import Table
from unrolled.tables.data.target import split_target
from unrolled.tables.report import model
from unrolled.tables.report.budget import LEAST_DROPPED, LEAST_ROUNDS, FitCost
from unrolled.tables.report.columns import examine_columns
from unrolled.tables.report.features import Block, read_columns, target_code
from unrolled.tables.report.model import share_explained
from unrolled.tables.report.relations import REPLACED, drift, replacements, twins
from unrolled.tables.report.result import ColumnReport

QUICK = {"cv": 2, "seeds": 1, "budget": 600.0}
Random = np.random.Generator


@pytest.fixture(autouse=True)
def fewer_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the rounds of boosting: the tables are small, and what they hold does not depend on the last digit."""
    monkeypatch.setattr(model.share_explained, "__defaults__", (model.ITERATIONS // 3,))


@pytest.fixture
def all_trees(fewer_trees: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rounds, for what only a model as good as the real one shows."""
    monkeypatch.setattr(model.share_explained, "__defaults__", (model.ITERATIONS,))


def examined(table: pd.DataFrame, **changes: object) -> ColumnReport:
    return examine_columns(table, "y", **(QUICK | changes))


def verdicts(report: ColumnReport) -> dict[str, str]:
    return {row.name: row.verdict for row in report.rows}


def nearly_empty(random: Random, rows: int = 2000) -> pd.DataFrame:
    """A column that is 99 % empty; whether it is empty says most of the target."""
    filled = np.arange(rows) % 100 == 0
    random.shuffle(filled)
    rare = np.where(filled, random.normal(size=rows), np.nan)
    y = 10.0 * filled + 0.5 * random.normal(size=rows)
    return pd.DataFrame(
        {"rare": rare, "noise": random.normal(size=rows), "letter": random.choice([*"abc"], rows), "y": y}
    )


def nested(random: Random, rows: int = 2400, own: float = 1.0) -> pd.DataFrame:
    """Stores within states; a store has a level of its own (times `own`) beside that of its state."""
    store = random.integers(0, 24, rows)
    level = own * random.normal(size=24)[store] + random.normal(size=8)[store % 8]
    names = {"store": [f"S{i}" for i in store], "state": [f"T{i % 8}" for i in store]}
    return pd.DataFrame({**names, "noise": random.normal(size=rows), "y": level + 0.4 * random.normal(size=rows)})


def xor(random: Random, rows: int = 800) -> pd.DataFrame:
    a, b = random.integers(0, 2, rows), random.integers(0, 2, rows)
    return pd.DataFrame({"a": a, "b": np.where(b, "yes", "no"), "noise": random.normal(size=rows), "y": a ^ b})


def with_twins(random: Random, rows: int = 800) -> pd.DataFrame:
    celsius = random.normal(size=rows)
    return pd.DataFrame({
        "celsius": celsius, "fahrenheit": 1.8 * celsius + 32, "id": [f"r{i:05}" for i in random.permutation(rows)],
        "number": random.permutation(rows), "constant": "same", "empty": None,
        "y": celsius + 0.3 * random.normal(size=rows),
    })  # fmt: skip


def test_a_column_99_percent_empty_that_explains_most_is_kept() -> None:
    report = examined(nearly_empty(np.random.default_rng(0)))
    row = report["rare"]
    assert report.rows[0] is row
    assert row.verdict == "keep"
    assert not row.too_good
    assert row.evidence.missing == pytest.approx(0.99)
    assert row.evidence.alone > 0.6
    assert row.evidence.missing_alone > 0.6
    assert "empty" in row.reason
    assert ("do worse than a guess" in row.reason) == (row.evidence.drop_cost > report.full)
    assert report["noise"].verdict == report["letter"].verdict == "safe to drop"
    assert "measured in 2 folds of 2,000 rows" in report["noise"].reason


@pytest.mark.parametrize("settings_", [{"max_rows": 4000}, {"cv": [(np.arange(4000), np.arange(4000, 6000))]}])
def test_a_column_is_not_called_safe_on_few_of_the_rows_or_in_one_fold(settings_: dict[str, object]) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"x": random.normal(size=6000), "noise": random.normal(size=6000)})
    table["y"] = table["x"] + random.normal(size=6000)
    report = examined(table, **settings_)
    assert report["noise"].verdict == "look"
    assert "too little was measured to call it safe to drop" in report["noise"].reason
    assert "that takes at least 2 folds of 5,000 rows" in report.to_markdown()
    measured = "4,000 of 6,000 rows, 2 folds" if "max_rows" in settings_ else "all 6,000 rows, 1 fold,"
    assert measured in report.to_markdown()
    if "max_rows" in settings_:
        assert examined(table)["noise"].verdict == "safe to drop"


def test_a_kept_column_that_costs_nothing_alone_shows_the_cost_that_its_verdict_rests_on() -> None:
    report = examined(nested(np.random.default_rng(1), own=0.0))
    kept = next(row for row in report.rows if row.verdict == "keep")
    if kept.evidence.drop_cost <= report.noise[1]:
        assert (kept.evidence.drop_cost_after_safe or 0) > report.noise[1]
        assert "once the safe ones are gone" in report.to_html()
    for row in report.rows:
        assert row.verdict != "keep" or max(row.evidence.drop_cost, row.evidence.drop_cost_after_safe or 0) > 0


def test_work_is_settled_once_and_near_timings_lead_to_the_same() -> None:
    plans = set()
    for seconds in (0.100, 0.103, 0.097, 0.106):
        cost = FitCost(seconds, 2000, 12, 2)
        rows = cost.affordable_rows(20_000, 60.0)
        plans.add(rows)
        assert cost.round * cost.on(rows) * LEAST_ROUNDS <= 60.0
    assert len(plans) == 1
    cost = FitCost(0.1, 2000, 150, 0)
    starved = cost.work(cost.affordable_rows(20_000, 4.0), 10, 4.0)
    assert (starved.rounds, starved.dropped) == (1, LEAST_DROPPED)
    plenty = cost.work(20_000, 10, 1e6)
    assert (plenty.rounds, plenty.dropped) == (10, 150)


@pytest.mark.parametrize("order", [["store", "state"], ["state", "store"]])
def test_store_nested_in_state_keeps_the_store_in_either_order(order: list[str]) -> None:
    table = nested(np.random.default_rng(0))[[*order, "noise", "y"]]
    report = examined(table.sample(frac=1, random_state=len(order[0])))  # nor does the order of the rows matter
    assert verdicts(report) == {"store": "keep", "state": "safe to drop", "noise": "safe to drop"}
    store, state = report["store"].evidence, report["state"].evidence
    assert dict(state.replaced_by)["store"] > 0.99
    assert dict(store.replaced_by)["state"] < 0.4
    assert dict(store.replaces)["state"] == dict(state.replaced_by)["store"]
    assert state.drop_cost_with_twins is not None
    assert state.drop_cost_with_twins > 0.8
    assert "as long as store stays" in report["state"].reason


def test_where_only_the_state_counts_one_of_the_two_stays() -> None:
    report = examined(nested(np.random.default_rng(1), own=0.0))
    assert sorted(verdicts(report)[name] for name in ("store", "state")) == ["keep", "safe to drop"]
    assert report.safe_price < 0.02


def test_two_xor_columns_worthless_alone_are_kept(all_trees: None) -> None:
    report = examined(xor(np.random.default_rng(0)))
    assert report.target_type == "binary"
    assert report.full > 0.95
    for name in ("a", "b"):
        row = report[name]
        assert row.verdict == "keep"
        assert row.evidence.alone < 0.05
        assert row.evidence.drop_cost > 0.9
        assert row.evidence.interaction_gain > 0.9
        assert "through other columns" in row.reason
    assert report["noise"].verdict == "safe to drop"


def test_twins_an_id_a_constant_and_an_empty_column() -> None:
    report = examined(with_twins(np.random.default_rng(0)))
    for name, other in (("celsius", "fahrenheit"), ("fahrenheit", "celsius")):
        row = report[name]
        assert row.verdict == "merge"
        assert row.evidence.twins == (other,)
        assert other in row.reason
        assert row.evidence.drop_cost < report.noise[1]
        assert (row.evidence.drop_cost_with_twins or 0) > 0.8
    rest = {"id": "id", "number": "id", "constant": "constant", "empty": "empty"}
    for name, kind in rest.items():
        assert (report[name].evidence.kind, report[name].verdict) == (kind, "safe to drop"), name
    assert report["constant"].evidence.drop_cost == 0
    assert report["id"].evidence.unseen == 1
    assert set(report.safe) == set(rest)


def test_names_of_which_each_is_new_are_read_by_their_spelling() -> None:
    random = np.random.default_rng(3)
    kinds, codes = random.integers(0, 4, 400), random.permutation(400)
    names = [f"{['drill', 'saw', 'hammer', 'router'][kind]} {code:x}" for kind, code in zip(kinds, codes, strict=True)]
    row = examined(pd.DataFrame({"name": names, "y": kinds + random.normal(0, 0.3, 400)}))["name"]
    assert row.verdict == "keep"
    assert row.evidence.alone > 0.8


def test_the_target_under_another_name_is_too_good_to_be_true(all_trees: None) -> None:
    table = xor(np.random.default_rng(1)).assign(leak=lambda t: np.where(t["y"] == 1, "sold", "open"))
    row = examined(table)["leak"]
    assert row.too_good
    assert row.verdict == "look"
    assert "too good to be true" in row.reason


def test_a_second_outcome_is_too_good_to_be_true_and_hides_others() -> None:
    random = np.random.default_rng(0)
    rows = 2000
    shop, day, chance = random.integers(0, 30, rows), random.integers(0, 7, rows), random.normal(size=(3, rows))
    visitors = np.exp(0.5 * random.normal(size=30)[shop] + 0.3 * random.normal(size=7)[day] + 0.3 * chance[0])
    table = pd.DataFrame({"shop": [f"s{i}" for i in shop], "day": day, "visitors": visitors, "weather": chance[1]})
    table["y"] = 9 * visitors * np.exp(0.1 * chance[2])
    report = examined(table)
    assert report["visitors"].too_good
    assert report["visitors"].verdict == "look"
    assert report["shop"].verdict != "safe to drop"
    assert report["weather"].verdict == "safe to drop"
    assert not any(row.too_good for row in examined(table.drop(columns="visitors")).rows)


def test_customers_of_rossmann_are_flagged() -> None:
    table = pd.read_parquet(shared_data("rossmann/rossmann_open_joined.parquet"))
    few = table.sample(4000, random_state=0)[
        ["Store", "DayOfWeek", "Promo", "StoreType", "Assortment", "Customers", "Sales"]
    ]
    report = examine_columns(few, "Sales", cv=3, seeds=1, budget=600.0, categories=("Store",))
    assert report["Customers"].too_good
    assert report["Customers"].verdict == "look"
    assert [row.name for row in report.rows if row.too_good] == ["Customers"]


def test_row_column_and_name_changes_change_nothing_but_names() -> None:
    table = nested(np.random.default_rng(0), 600)
    plain = examined(table)
    assert examined(table).to_dict() | {"seconds": 0} == plain.to_dict() | {"seconds": 0}
    changed = table.assign(store=table["store"].map(lambda name: f"{name[::-1]}-shop"))[
        ["noise", "y", "state", "store"]
    ]
    other = examined(changed)
    assert [row.name for row in other.rows] == [row.name for row in plain.rows]
    assert verdicts(other) == verdicts(plain)
    assert other.full == pytest.approx(plain.full, abs=0.03)


def test_the_users_own_splitter_and_groups_are_used() -> None:
    table = nested(np.random.default_rng(0), 800).drop(columns="noise")
    by_time = examined(table.assign(t=np.arange(800)), cv=TimeSeriesSplit(3), order="t")
    assert by_time.rounds == 3
    # of a store never seen, its name says nothing: only the state is left
    assert examined(table, cv=GroupKFold(2), groups="store").full < by_time.full - 0.1


def test_unseen_categories_and_drift_of_the_last_tenth() -> None:
    rows = 1000
    random = np.random.default_rng(0)
    late = np.arange(rows) >= 900
    frame = pd.DataFrame({
        "steady": random.choice([*"abcdef"], rows),
        "new": np.where(late, "n" + pd.Series(np.arange(rows)).astype(str), random.choice([*"abc"], rows)),
        "rising": np.arange(rows) + random.random(rows),
        "many": random.choice([f"c{i}" for i in range(300)], rows),
    })  # fmt: skip
    found = {c.name: drift(c, np.arange(rows), 0) for c in read_columns(Table.read(frame))}
    assert found["steady"].unseen == 0
    assert found["steady"].distance < 0.1
    assert found["new"].unseen == 1
    assert found["rising"].unseen == pytest.approx(1, abs=0.02)
    assert found["rising"].distance == pytest.approx(1)
    assert found["many"].distance < 0.1  # many levels differ by chance, which is subtracted


def test_a_category_that_will_not_exist_tomorrow_asks_for_a_look() -> None:
    random = np.random.default_rng(0)
    rows = 1000
    late = np.arange(rows) >= rows * 0.9
    group = np.where(late, 12 + random.integers(0, 3, rows), random.integers(0, 12, rows))
    y = random.normal(size=15)[group] + 0.5 * random.normal(size=rows)
    row = examined(pd.DataFrame({"campaign": [f"c{i}" for i in group], "noise": random.normal(size=rows), "y": y}))[
        "campaign"
    ]
    assert row.evidence.unseen == 1
    assert row.verdict == "look"
    assert "100% of the values in the last tenth" in row.reason


def test_a_category_for_which_the_budget_left_too_few_rows_is_not_called_idle() -> None:
    random = np.random.default_rng(0)
    group = random.integers(0, 100, 3000)
    table = pd.DataFrame(
        {"idle": [f"g{i}" for i in group], "x": random.normal(size=3000), "y": random.normal(size=3000)}
    )
    starved = examined(table, max_rows=500)["idle"]
    assert starved.verdict == "look"
    assert "5.0 rows of each of its values" in starved.reason
    assert examined(table)["idle"].verdict == "safe to drop"


def test_replacement_is_asymmetric_and_finds_twins_whatever_their_type() -> None:
    random = np.random.default_rng(0)
    store = random.integers(0, 50, 2000)
    frame = pd.DataFrame({"store": store, "name": [f"S{i * 7 % 50}" for i in store], "state": store % 5,
                          "x": random.normal(size=2000)})  # fmt: skip
    told = replacements(read_columns(Table.read(frame)), 0)
    assert twins(told) == [[0, 1]]
    assert told[0, 2] >= REPLACED
    assert told[1, 2] >= REPLACED
    assert told[2, 0] < 0.5
    assert np.abs(told[3, :3]).max() < 0.1


def test_the_cross_fitted_code_of_a_noise_id_says_nothing_about_its_own_row() -> None:
    random = np.random.default_rng(0)
    codes, y = np.arange(3000) // 3, random.normal(size=(3000, 1))
    inside, outside = target_code(codes, codes, y, 0)
    assert abs(np.corrcoef(inside[:, 0], y[:, 0])[0, 1]) < 0.06
    assert np.corrcoef(outside[:, 0], y[:, 0])[0, 1] > 0.5  # the plain code leaks: that is why it is cross-fitted
    level = random.normal(size=30)[np.arange(3000) % 30]
    good, _ = target_code(np.arange(3000) % 30, np.arange(3000) % 30, level[:, None] + y, 0)
    assert np.corrcoef(good[:, 0], level)[0, 1] > 0.95


def test_the_budget_is_kept_roughly_and_said() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({f"x{i}": random.normal(size=5000) for i in range(9)}).assign(y=random.normal(size=5000))
    report = examine_columns(table, "y", budget=2.0)
    assert report.seconds < 120  # far more than a slow machine needs, far less than all rounds
    assert report.rounds < report.rounds_asked
    assert report.rows_used < report.rows_total
    assert "the budget ended" in report.to_markdown()
    assert not report.safe


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_report_that_is_stopped_keeps_the_folds_that_are_done(stop: signal.Signals) -> None:
    table = xor(np.random.default_rng(0), 200)

    def stopping(text: str, share: float) -> None:
        os.kill(os.getpid(), stop)

    whole = examined(table, cv=2)
    with pytest.warns(RuntimeWarning, match="stopped early, after 1 folds"):
        part = examined(table, cv=2, progress=stopping)
    assert part.interrupted
    assert not whole.interrupted
    assert (part.rounds, whole.rounds) == (1, 2)
    assert "it was stopped before the others" in part.to_markdown()
    assert part.safe == ()
    assert repr(part).startswith("ColumnReport('y', 3 columns explain ")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_composed_and_decomposed_names_are_one_category() -> None:
    column = Table.read(pd.DataFrame({"c": ["caf\u00e9", "cafe\u0301", "tea"]}))["c"]
    (data,) = read_columns(Table((column,)))
    assert data.levels == ("caf\u00e9", "tea")


def test_polars_and_multi_class_and_dates() -> None:
    random = np.random.default_rng(0)
    rows = 600
    when = pd.Timestamp("2023-01-01") + pd.to_timedelta(random.integers(0, 700, rows), unit="D")
    y = np.array(["low", "mid", "high"])[when.month.to_numpy() % 3]
    table = pl.DataFrame({"when": when, "flag": random.random(rows) < 0.5, "y": y})
    report = examine_columns(table, "y", cv=2, seeds=1, budget=600.0)
    assert report.target_type == "multiclass"
    assert report["when"].evidence.kind == "date"
    assert report["flag"].evidence.kind == "boolean"
    assert report.full > 0.8


def test_renderings_hold_every_column_and_are_self_contained(tmp_path: Path) -> None:
    table = with_twins(np.random.default_rng(0), 300).rename(columns={"id": "<b>|id"})
    report = examined(table)
    for ending in (".html", ".md", ".json", ".csv"):
        report.save(tmp_path / f"report{ending}")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>|id" not in page
    assert "&lt;b&gt;|id" in page
    assert page.count("<tr data-search=") == len(report.rows)
    assert not any(mark in page for mark in ("http:", "https:", "src=", "<link", "@import"))
    assert report._repr_html_().startswith("<iframe srcdoc=")
    lines = (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()
    assert "<b>\\|id" in "\n".join(lines)
    assert len({line.replace("\\|", "").count("|") for line in lines if line.startswith("|")}) == 1
    plain = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in plain["columns"]] == [row.name for row in report.rows]
    assert len(pd.read_csv(tmp_path / "report.csv")) == len(report.rows)
    assert list(report.to_frame()["drop_cost"]) == sorted((r.evidence.drop_cost for r in report.rows), reverse=True)
    with pytest.raises(InputError, match=r"ends in '\.pdf'"):
        report.save(tmp_path / "report.pdf")


@pytest.mark.parametrize(
    ("change", "settings_", "message"),
    [
        (lambda t: t.assign(x=np.inf), {}, "'x' holds an infinite number in row 0"),
        (lambda t: t, {"ignore": ("nose",)}, "unknown column 'nose': did you mean 'noise'"),
        (lambda t: t, {"groups": "shop"}, "unknown column 'shop'"),
        (lambda t: t, {"ignore": ("y",)}, "'y' is the target"),
        (lambda t: t, {"seeds": 0}, "must be positive"),
        (lambda t: t, {"seed": -1}, "seed is -1, but must be a whole number from 0"),
        (
            lambda t: t.assign(y=["a"] * (len(t) - 1) + ["b"]),
            {},
            "'y' is 'b' in only 1 of the .* rows used, but 2 folds need 2",
        ),
        (lambda t: t.assign(y=[*"ab"] * (len(t) // 2)), {"cv": "three"}, "cv is 'three', but must be"),
        (
            lambda t: t.assign(y=["a"] * 80 + ["b"] * 20),
            {"cv": TimeSeriesSplit(4)},
            "fold 1 has no row of class 'b' of 'y'",
        ),
    ],
)
def test_what_cannot_be_measured_is_said(
    change: Callable[[pd.DataFrame], pd.DataFrame], settings_: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        examined(change(nested(np.random.default_rng(0), 100)), **settings_)


CELLS = st.one_of(
    st.lists(st.one_of(st.none(), st.sampled_from([*"abc", ""])), min_size=24, max_size=24),
    st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=24, max_size=24),
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=24, max_size=24),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=24, max_size=24),
)


@given(st.lists(CELLS, min_size=1, max_size=3), st.booleans())
@settings(max_examples=5)
def test_any_small_table_gets_one_row_a_column(cells: list[list[object]], classes: bool) -> None:
    table = pd.DataFrame({f"c{i}": values for i, values in enumerate(cells)})
    y = [*"ab"] * 12 if classes else list(np.arange(24) * 0.7)
    report = examine_columns(table.assign(y=y), "y", cv=2, seeds=1, budget=600.0)
    assert sorted(row.name for row in report.rows) == sorted(table.columns)
    assert all(np.isfinite([row.evidence.drop_cost, row.evidence.alone]).all() for row in report.rows)
    assert all(row.reason.endswith(".") for row in report.rows)


def test_columns_that_tell_nothing_are_not_said_to_explain_something(all_trees: None) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {"a": random.normal(size=120), "b": random.choice([*"xyz"], 120), "y": random.normal(size=120)}
    )
    report = examined(table)
    assert report.full < 0
    told = "\n".join(report.summary())
    assert "explain nothing of y" in told
    assert "and nothing is lost" in told
    assert not any(row.verdict == "keep" for row in report.rows)
    assert "it may be as much as" in report["b"].reason  # 120 rows are too few to say more
    assert all(" -0.0000" not in row.reason for row in report.rows)


def test_a_wide_table_keeps_the_budget_and_says_what_was_not_tried() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(300, 40)), columns=[f"c{i}" for i in range(40)])
    table["y"] = table["c3"] + 0.1 * random.normal(size=300)
    report = examine_columns(table, "y", budget=0.3, cv=3, seeds=1)
    assert report.rounds == 1
    assert report["c3"].evidence.rounds == 1  # the one that tells most alone is tried first
    assert report["c3"].evidence.drop_cost > 0.5
    untried = [row for row in report.rows if not row.evidence.rounds]
    assert len(untried) > 15
    assert {row.verdict for row in untried} <= {"look", "safe to drop"}
    assert f"could be dropped alone: {len(untried)} were not" in "\n".join(report.summary())
    assert "not tried" in report.to_markdown()
    assert "not tried" in report.to_html()


def test_a_column_without_a_value_in_the_training_rows_of_a_fold() -> None:
    late = np.where(np.arange(60) < 40, np.nan, np.arange(60) % 7)
    table = pd.DataFrame({"late": late, "x": np.arange(60) % 5, "y": np.arange(60) * 0.7})
    report = examined(table, cv=[(np.arange(40), np.arange(40, 60))])
    assert np.isfinite(report["late"].evidence.drop_cost)
    assert report["late"].evidence.alone == 0


def test_many_classes_bring_no_warnings_of_other_libraries() -> None:
    random = np.random.default_rng(0)
    kind = random.integers(0, 18, 48)
    table = pd.DataFrame({"a": kind % 5, "y": [f"class {i:02}" for i in kind]})
    table = table[table.groupby("y")["y"].transform("size") > 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert examined(table).target_type == "multiclass"


def test_a_class_that_a_trial_of_some_rows_does_not_meet() -> None:
    """How many rows the budget allows is tried out on 2,000 of them, in which a rare class may be missing."""
    random = np.random.default_rng(1)
    y = random.choice(["aa", "zz"], 2200).astype(object)
    y[np.random.default_rng(0).permutation(2200)[2000:2004]] = "mm"  # not among the first 2,000 that seed 0 draws
    report = examined(pd.DataFrame({"x": random.normal(size=2200) + (y == "zz"), "y": y}), seed=0)
    assert np.isfinite(report.full)


@pytest.mark.parametrize("judged", [[0, 0], [0, 1, 2]])
def test_the_share_explained_is_finite_where_only_one_class_was_met(judged: list[int]) -> None:
    table = Table.read(pd.DataFrame({"x": 0, "y": [*"abc"] * 20 + ["a"] * 30 + ["abc"[i] for i in judged]}))
    target = split_target(table, "y")[1].take(np.arange(60, 90 + len(judged)))
    learned, later = np.arange(30), np.arange(30, 30 + len(judged))
    only = Block(np.arange(30.0)[:, None], later[:, None] * 1.0, (False,))
    assert np.isfinite(share_explained([only], target, learned, later, 0))

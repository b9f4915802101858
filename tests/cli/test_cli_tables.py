"""The commands columns, embed and compare: files in, files out, one JSON object, exit codes and sentences."""

import json
import signal
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unrolled import progress
from unrolled.cli.app import main
from unrolled.errors import InputError
from unrolled.tables.data.demo import demo_table
from unrolled.tables.data.files import open_table
from unrolled.tables.encoder import trainer
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.tables.report import model


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the report finds is tested elsewhere."""
    monkeypatch.setattr(model.share_explained, "__defaults__", (model.ITERATIONS // 6,))


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    path = tmp_path / "sales.csv"
    demo_table(0, 400, 8).frame.assign(Day=np.arange(400)).to_csv(path, index=False)
    return path


def test_columns_writes_the_page_and_prints_one_object(sales: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = sales.with_name("look.html")
    command = ["columns", str(sales), "--target", "Sales", "--out", str(page), "--folds", "2", "--seeds", "1", "--json"]
    assert main(command) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert {row["name"] for row in report["columns"]} == {"Shop", "Month", "Weekday", "Promotion", "Day"}
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "written" in printed.err


def test_columns_prints_reasons_and_splits_by_time(sales: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["columns", str(sales), "--target", "Sales", "--split", "time", "--by", "Day", "--folds", "2"]
    assert main([*command, "--seeds", "1", "--ignore", "Promotion", "Weekday"]) == 0
    out = capsys.readouterr().out
    assert "Shop: " in out
    assert "Weekday" not in out


@pytest.mark.parametrize("parquet", [False, True])
def test_embed_writes_the_encoder_and_a_file_per_column(
    sales: Path, parquet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    out = sales.with_name("vectors")
    command = [
        "embed",
        str(sales),
        "--target",
        "Sales",
        "--out",
        str(out),
        "--networks",
        "1",
        "--ignore",
        "Day",
        "--json",
    ]
    assert main(command + ["--parquet"] * parquet) == 0
    answer = json.loads(capsys.readouterr().out)
    encoder = EntityEncoder.from_pretrained(out)
    table = encoder.table("Shop")
    path = Path(answer["vectors"]["Shop"])
    read = pd.read_parquet(path) if parquet else pd.read_csv(path)
    assert read["name"].tolist() == list(table.names)
    assert read[[f"d{i}" for i in range(table.vectors.shape[1])]].to_numpy() == pytest.approx(table.vectors, rel=1e-6)
    assert main(command) == 1
    assert "exists already" in capsys.readouterr().err


def test_embed_takes_an_odd_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Semicolons, blanks and slashes in names, an empty column, texts in one row each, dates in American order."""
    rng = np.random.default_rng(0)
    wards, notes = rng.choice(np.array(["a", "b ", "c, d", None]), 200), [f"note {i}" for i in range(200)]
    table = pd.DataFrame({" Ward / floor": wards, "Ward ? floor": wards, "empty": None, "note": notes})
    table["US date"] = (pd.Timestamp("2024-01-01") + pd.to_timedelta(3 * np.arange(200), "D")).strftime("%m/%d/%Y")
    table["wait"] = rng.normal(size=200)
    table.to_csv(tmp_path / "odd.csv", index=False, sep=";")
    out = tmp_path / "vectors"
    command = ["embed", str(tmp_path / "odd.csv"), "--target", "wait", "--out", str(out), "--networks", "2"]
    assert main([*command, "--categories", "empty", " Ward / floor"]) == 0
    told = capsys.readouterr()
    assert "'empty' has no values and is left out" in told.err
    assert "each in one row only" in told.err
    assert "US date_month" in told.err
    assert "spread: " in told.err
    assert "note" in told.out
    assert "200         11" in told.out
    names = sorted(path.name for path in (out / "vectors").iterdir())
    parts = [f"US date_{part}.csv" for part in ("day", "month", "weekday", "year")]
    assert names == [*parts, "Ward _ floor-2.csv", "Ward _ floor.csv", "note.csv"]


def test_the_saved_encoder_takes_the_frame_that_pandas_reads(tmp_path: Path) -> None:
    """`embed` splits dates; `pd.read_csv` leaves them texts, and a single row of them is enough to be read."""
    days = pd.date_range("2024-01-01", periods=60).strftime("%d.%m.%Y")
    table = pd.DataFrame({"day": days, "shop": [*"abc"] * 20, "y": np.arange(60) % 7 + 0.5})
    table.to_csv(tmp_path / "t.csv", index=False)
    out = tmp_path / "vectors"
    assert main(["embed", str(tmp_path / "t.csv"), "--target", "y", "--out", str(out), "--networks", "1"]) == 0
    encoder = EntityEncoder.from_pretrained(out)
    read = pd.read_csv(tmp_path / "t.csv").drop(columns="y")
    expected = encoder.transform(open_table(tmp_path / "t.csv").drop(columns="y"))
    assert np.array_equal(encoder.transform(read), expected)
    assert np.array_equal(encoder.transform(read.iloc[[40]]), expected[[40]])
    gap = read.assign(day=read["day"].where(read.index > 3))
    assert np.array_equal(encoder.transform(gap)[4:], expected[4:])
    with pytest.raises(InputError, match="was fitted on dates, but now holds"):
        encoder.transform(read.assign(day="soon"))


def test_rows_without_a_target_are_refused_or_left_out_when_asked(
    sales: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(sales)
    table.loc[[3, 7], "Sales"] = None
    table.to_csv(sales, index=False)
    command = ["columns", str(sales), "--target", "Sales", "--folds", "2", "--seeds", "1", "--json"]
    command += ["--ignore", "Day", "Month", "Weekday"]
    assert main(command) == 1
    assert "is missing in 2 of 400 rows, first in row 4 below the line of names: leave" in capsys.readouterr().err
    assert main([*command, "--missing-target", "drop"]) == 0
    told = capsys.readouterr()
    assert "left out 2 of 400 rows, in which 'Sales' is missing" in told.err
    assert json.loads(told.out)["rows_total"] == 398


def test_a_target_of_few_whole_numbers_is_told_and_settled_by_its_type(
    sales: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.read_csv(sales).assign(Code=np.arange(400) % 3).to_csv(sales, index=False)
    command = ["columns", str(sales), "--target", "Code", "--folds", "2", "--seeds", "1", "--budget", "1"]
    command += ["--ignore", "Day", "Month", "Weekday"]
    assert main(command) == 0
    told = capsys.readouterr().err
    assert "'Code' holds whole numbers with 3 values and is taken as a number" in " ".join(told.split())
    assert "s left" in told
    assert main([*command, "--target-type", "multiclass"]) == 0
    assert "is taken as a number" not in capsys.readouterr().err


def test_embed_stopped_by_ctrl_c_writes_the_best_so_far(
    sales: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer.Trainer, "_show", interrupt)
    out = sales.with_name("vectors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["embed", str(sales), "--target", "Sales", "--out", str(out), "--networks", "1"]) == 0
    assert "stopped early: the best so far is kept" in capsys.readouterr().err
    assert EntityEncoder.from_pretrained(out).interrupted_


def test_compare_demo_offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = [
        "compare",
        "demo",
        "--models",
        "linear",
        "--folds",
        "2",
        "--seeds",
        "1",
        "--networks",
        "1",
        "--max-rows",
        "300",
    ]
    assert main([*command, "--out", "c.md"]) == 0
    out = capsys.readouterr().out
    assert out == Path("c.md").read_text(encoding="utf-8")
    assert "| linear |" in out


def test_compare_stopped_by_a_signal_writes_the_folds_that_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_at_a_fifth(bar: object, text: str, share: float) -> None:
        if share >= 0.2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(progress._Lines, "__call__", stop_at_a_fifth)
    out = tmp_path / "c.json"
    command = ["compare", "demo", "--models", "linear", "--folds", "2", "--seeds", "5"]
    assert main([*command, "--networks", "1", "--max-rows", "200", "--out", str(out)]) == 0
    printed, told = capsys.readouterr()
    assert "stopped early, after" in told
    assert "written: " in told
    assert "stopped early, after" in printed
    comparison = json.loads(out.read_text(encoding="utf-8"))
    assert comparison["folds_done"] == 2
    assert all(len(cell["by_fold"]) == 2 for cell in comparison["cells"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["columns", "nowhere.csv", "--target", "y"], "nowhere.csv does not exist"),
        (["columns", "{sales}", "--target", "sales"], "did you mean 'Sales'"),
        (["columns", "{sales}", "--target", "Sales", "--out", "x.pdf"], "ends in '.pdf'"),
        (["columns", "{sales}", "--target", "Sales", "--out", "no/such/x.html"], "the folder no/such does not exist"),
        (["compare", "{sales}", "--target", "Sales", "--out", "no/such/x.md"], "the folder no/such does not exist"),
        (["columns", "{sales}", "--target", "Sales", "--split", "time"], "add --by COLUMN"),
        (["columns", "{sales}", "--target", "Sales", "--folds", "1"], "--folds is 1"),
        (["columns", "{sales}", "--target", "Sales", "--folds", "500"], "500 folds of 400 rows"),
        (["embed", "{sales}", "--target", "Sales", "--out", "v", "--categories", "Dai"], "did you mean 'Day'"),
        (["embed", "{sales}", "--target", "Sales", "--out", "v", "--categories", "Sales"], "'Sales' is the target"),
        (
            ["embed", "{sales}", "--target", "Sales", "--out", "v", "--categories", "Day", "--ignore", "Day"],
            "'Day' is named as a category and as one to leave out",
        ),
        (["columns", "{sales}", "--target", "Sales", "--categories", "Sales"], "'Sales' is the target"),
        (["compare", "{sales}", "--target", "Sales", "--ignore", "Sales"], "'Sales' is the target and cannot be left"),
        (["columns", "{sales}", "--target", "Sales", "--seed", "-1"], "seed is -1, but must be"),
        (["embed", "{sales}", "--target", "Sales", "--out", "v", "--seed", "-1"], "seed is -1, but must be"),
        (["compare", "demo", "--seed", "-1"], "seed is -1, but must be"),
        (["compare", "{sales}"], "--target"),
        (["compare", "{sales}", "--target", "Sales", "--metric", "auc"], "metric 'auc'"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_1(
    sales: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument.format(sales=sales) for argument in arguments]) == 1
    err = capsys.readouterr().err
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["columns", "embed", "compare"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"unrolled {command} " in capsys.readouterr().out
    assert main([command, "--no-such-option"]) == 2

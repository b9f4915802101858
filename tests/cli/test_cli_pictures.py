"""`plot` and `look diagram` as a person types them: pictures, JSON, the terminal form, one sentence for bad input."""

import json
from pathlib import Path

import numpy as np
import pytest

from tiny import tiny_parts
from unrolled.cli import main
from unrolled.embedding import EmbeddingTable
from unrolled.model.char_model import CharModel


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "run"
    CharModel(tiny_parts("gru")).save_pretrained(folder)
    return folder


def called(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    """What a command prints: its results, or its one line of error."""
    assert main([str(argument) for argument in arguments]) == code
    out, err = capsys.readouterr()
    if code:
        assert err.count("\n") == 1
    return err if code else out


@pytest.mark.parametrize("ending", ["png", "svg", "html"])
def test_plot_of_a_run(run: Path, ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(called(capsys, "plot", run, "--out", tmp_path / f"p.{ending}", "--json"))
    table = CharModel.from_pretrained(run).embedding
    assert (told["names"], told["dimension"]) == table.vectors.shape
    assert sum(told["explained"]) == pytest.approx(1)
    assert (tmp_path / f"p.{ending}").stat().st_size > 5000


def test_plot_of_a_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    facts = {"count": np.arange(20), "target_mean": vectors[:, 0].astype(np.float64)}
    EmbeddingTable(tuple(f"shop {i}" for i in range(20)), vectors, facts).to_csv(tmp_path / "Store.csv")
    called(capsys, "plot", tmp_path / "Store.csv", "--out", tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "p.pdf"], "a picture ends in"),
        (["--out", "p.png", "--column", "Store"], "not a folder written by the command embed"),
    ],
)
def test_bad_plots_get_a_sentence(
    run: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in called(capsys, "plot", run, *options, code=1)
    assert not Path(options[1]).exists()


@pytest.mark.parametrize("view", ["whole", "unrolled", "rolled", "cell"])
def test_diagram_of_a_rung(view: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called(capsys, "look", "diagram", "lstm", "--view", view, "--out", tmp_path / "d.svg", "--hidden", 33)
    assert "4·33" in (tmp_path / "d.svg").read_text("utf-8")


def test_diagram_of_a_run_shows_what_it_expects(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(called(capsys, "look", "diagram", run, "--text", "the c", "--json"))
    model = CharModel.from_pretrained(run)
    assert [row["after"] for row in told["expected"]] == ["t", "th", "the", "the ", "the c"]
    for row in told["expected"]:
        best = model.next(row["after"])[:5]
        assert [(n["character"], n["probability"]) for n in row["next"]] == best
    assert {matrix["name"] for matrix in told["matrices"]} == {n for n, w in model.parts.weights.items() if w.ndim == 2}
    shown = called(capsys, "look", "diagram", run, "--text", "the c")
    assert f"{model.next('the c')[0][1]:.0%}" in shown
    assert "W_hh" in shown


def test_diagram_without_a_text_uses_one_that_the_model_can_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    CharModel(tiny_parts("rnn", text="0123456789" * 9)).save_pretrained(tmp_path / "digits")
    told = json.loads(called(capsys, "look", "diagram", tmp_path / "digits", "--json"))
    assert len(told["text"]) == 8
    assert set(told["text"]) <= set("0123456789")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lsmt"], "did you mean 'lstm'"),
        (["./nothing"], "does not exist: give a run folder, or one of"),
        (["three-char", "--text", "ab"], "give 3 or more"),
        (["rnn", "--text", "x" * 30], "give at most 16"),
        (["rnn", "--hidden", "0"], "hidden is 0"),
        (["three-char", "--view", "rolled", "--out", "d.svg"], "has no loop"),
        (["rnn", "--out", "d.html"], "a picture ends in"),
    ],
)
def test_bad_diagrams_get_a_sentence(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in called(capsys, "look", "diagram", *arguments, code=1)


def test_an_unknown_character_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "中" in called(capsys, "look", "diagram", run, "--text", "中", code=1)

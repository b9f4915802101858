"""`unrolled train`, `ladder` and `demo` as a person types them: what they print, where, and how they fail."""

import json
import os
import re
import subprocess
import sys

import pytest

from unrolled.cli.app import main
from unrolled.learn.networks import RUNGS
from unrolled.model.folder import read_model
from unrolled.text import datasets
from unrolled.text.baselines.compressors import compressors, xz_bits

TEXT = "a man said that he would read the notes again, and then he wrote them.\n" * 40
ONE_THREAD = ["--threads", "1", "--precision", "float32"]
SMALL = ["--hidden", "8", "--embedding", "4", "--streams", "2", "--length", "16", *ONE_THREAD]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def run(*words):
    return main([str(word) for word in words])


def test_train_ends_with_one_json_object(text, tmp_path, capsys):
    assert run("train", text, "--out", tmp_path / "run", "--epochs", 1, *SMALL, "--json") == 0
    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    assert shown.out.count("\n") == 1
    assert list(summary) == [
        "run", "rung", "characters", "vocabulary", "parameters", "characters_seen", "seconds", "train", "validation",
        "members", "mixing", "validation_characters", "epochs", "best_epoch", "baselines", "verdict",
    ]  # fmt: skip
    assert summary["run"] == str(tmp_path / "run")
    assert summary["characters"] == len(TEXT)
    assert set(summary["train"]) == set(summary["validation"]) == {"nats", "bits"}
    assert "bits per character" in shown.err
    assert {"gzip", "bz2", "xz"} <= {baseline["name"] for baseline in summary["baselines"]}
    assert all(baseline["primed_bits"] >= 0 for baseline in summary["baselines"])


def test_without_json_the_summary_is_for_people(text, tmp_path, capsys):
    assert run("train", text, "--out", tmp_path / "run", "--epochs", 1, *SMALL, "--test", 0.1) == 0
    shown = capsys.readouterr().out
    for word in (
        "network",
        "validation",
        "test",
        "bits per character",
        "at epoch",
        "given the training part",
        "better",
    ):
        assert word in shown


def test_several_texts_and_a_folder_are_one_corpus(text, tmp_path, capsys):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.txt").write_text("b" * 100)
    (tmp_path / "more" / "a.txt").write_text("a" * 100)
    assert run("train", text, tmp_path / "more", "--out", tmp_path / "run", "--epochs", 1, *SMALL, "--json") == 0
    assert json.loads(capsys.readouterr().out)["characters"] >= len(TEXT) + 200


@pytest.mark.parametrize(
    ("words", "sentence", "code"),
    [
        (["--hidden", "0"], "hidden is 0", 1),
        (["--hidden", "-3"], "hidden is -3", 1),
        (["--streams", "0"], "streams is 0", 1),
        (["--epochs", "0"], "epochs is 0", 1),
        (["--hidden", "many"], "--hidden", 2),
        (["--rung", "lsmt"], "did you mean 'lstm'", 1),
        (["--nonlinearity", "relu"], "one form only", 1),
        (["--hiden", "3"], "--hidden", 2),
        (["--epochs", "1", "--minutes", "1"], "choose one", 1),
        (["--from", "nowhere"], "nowhere does not exist", 1),
        (["--device", "cuda"], "cuda", 1),
        (["--encoding", "utf-9"], "utf-9", 1),
    ],
)
def test_bad_settings_get_a_sentence(text, tmp_path, capsys, words, sentence, code):
    assert run("train", text, "--out", tmp_path / "run", *words) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.txt", b"", "empty"),
        ("short.txt", b"ab", "too few"),
        ("dull.txt", b"a" * 3000, "nothing to predict"),
        ("latin.txt", b"caf\xe9 au lait " * 300, "--encoding"),
        ("binary.bin", bytes(range(256)) * 20, "binary"),
        ("none.txt", None, "none.txt"),
    ],
)
def test_bad_texts_get_a_sentence(tmp_path, capsys, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert run("train", tmp_path / name, "--out", tmp_path / "run") == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_output_folder_that_cannot_be_made_is_named(text, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run("train", text, "--out", tmp_path / "file") == 1
    assert "is a file" in capsys.readouterr().err
    assert run("train", text, "--out", tmp_path / "file" / "run", *SMALL) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_no_text_at_all_is_explained(tmp_path, capsys):
    assert run("train", "--out", tmp_path / "run") == 1
    assert "no text was given" in capsys.readouterr().err


def test_a_terminal_that_is_not_utf8_stops_nothing(tmp_path):
    path = tmp_path / "zh.txt"
    path.write_text("滿紙荒唐言，一把辛酸淚。都云作者痴，誰解其中味？" * 60)
    words = ["train", str(path), "--out", str(tmp_path / "run"), "--epochs", "2", "--min-count", "2", *SMALL]
    done = subprocess.run(
        [sys.executable, "-m", "unrolled", *words], capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0, done.stderr
    assert b"\\u" in done.stderr


def test_the_honest_ladder_has_every_rung_and_the_baselines(text, capsys):
    assert run("ladder", text, "--epochs", 1, "--hidden", 8, *ONE_THREAD, "--json") == 0
    table = json.loads(capsys.readouterr().out)
    assert table["protocol"] == "honest"
    assert [row["rung"] for row in table["rows"]] == [*RUNGS, "counts", *reversed(compressors())]
    told = {row["rung"]: row["validation_bits"] for row in table["rows"]}
    assert told["xz"] < xz_bits(TEXT[-len(TEXT) // 10 :])
    wanted = {"rung", "setting", "epochs", "validation_nats", "validation_bits", "seconds", "published_nats"}
    assert all(wanted <= set(row) for row in table["rows"])


def test_some_rungs_of_the_ladder_as_a_table(text, capsys, tmp_path):
    picture = tmp_path / "ladder.svg"
    words = ["--epochs", 1, "--hidden", 8, *ONE_THREAD, "--rung", "rnn", "--tuned", "--out", picture]
    assert run("ladder", text, *words) == 0
    assert picture.read_bytes().startswith(b"<?xml")
    shown = capsys.readouterr().out
    assert re.search(r"rnn +hidden 8, rate × [0-9.]+ ", shown)
    assert "±" in shown
    assert "lstm" not in shown
    assert run("ladder", text, "--rung", "rnm") == 1
    assert "did you mean 'rnn'" in capsys.readouterr().err


def test_the_ladder_at_equal_seconds_says_how_much_each_rung_has_read(text, capsys):
    assert run("ladder", text, "--minutes", 0.02, "--hidden", 8, *ONE_THREAD, "--rung", "gru", "--json") == 0
    (row, *baselines) = json.loads(capsys.readouterr().out)["rows"]
    assert row["epochs"] > 0
    assert 0 < row["seconds"] < 300
    assert baselines


@pytest.fixture
def short_demo(monkeypatch):
    """The demo measures five times: a tenth of its text is enough here."""
    whole = datasets.python_docs()
    monkeypatch.setattr(datasets, "python_docs", lambda: whole[:50_000])


def test_the_demo_shows_everything_it_promises(tmp_path, capsys, monkeypatch, short_demo):
    monkeypatch.chdir(tmp_path)
    assert run("demo", "--minutes", 0.02) == 0
    shown = capsys.readouterr().out
    for word in ("The next character", "400 characters", "gzip", "xz", "unrolled-demo/embedding.png"):
        assert word in shown
    assert (tmp_path / "unrolled-demo" / "embedding.png").read_bytes().startswith(b"\x89PNG")
    assert run("next", "unrolled-demo", "for i in ", "--json") == 0
    assert json.loads(capsys.readouterr().out)["prompt"] == "for i in "


def test_the_demo_in_one_json_object(tmp_path, capsys, short_demo):
    assert run("demo", "--minutes", 0.01, "--out", tmp_path / "it[1]", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == str(tmp_path / "it[1]")
    assert len(found["text"]) == len("The ") + 400
    alone = {baseline["name"]: baseline["bits"] for baseline in found["baselines"]}
    assert (found["gzip_bits"], found["xz_bits"]) == (alone["gzip"], alone["xz"])
    assert min(alone["gzip"], alone["xz"]) > 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--hidden", "8"], "leave out --epochs, --minutes, --hidden"),
        (["--device", "cuda"], "runs on the processor"),
        (["--precision", "float64"], "runs on the processor"),
    ],
)
def test_the_lesson_has_settings_of_its_own(text, capsys, words, sentence):
    assert run("ladder", text, "--protocol", "lesson", *words) == 1
    assert sentence in capsys.readouterr().err


def test_a_text_too_short_for_the_lesson(tmp_path, capsys):
    (tmp_path / "short.txt").write_text("a man said he")
    assert run("ladder", tmp_path / "short.txt", "--protocol", "lesson", "--rung", "three-char") == 1
    assert "too few to train on" in capsys.readouterr().err


def test_ctrl_c_before_the_first_step_says_what_was_kept(text, tmp_path, capsys, monkeypatch):
    def interrupted(*words, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("unrolled.learn.start.Builder.fastest", interrupted)
    with pytest.raises(SystemExit) as ended:
        run("train", text, "--out", tmp_path / "run", *SMALL)
    assert ended.value.code == 130
    assert "stopped before the first step: nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_short_text_starts_from_a_base(text, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "cache"))
    start = ["train", text, "--out", tmp_path / "run", "--epochs", 0.1, "--from", "base", *ONE_THREAD]
    assert run(*start) == 1
    assert "unrolled make-base TEXT" in capsys.readouterr().err
    assert run("make-base", text, "--minutes", 0.005) == 0
    assert run("train", text, "--out", tmp_path / "other", "--epochs", 1, *SMALL) == 0
    assert "--from base" in capsys.readouterr().err
    assert run(*start) == 0
    assert "--from base" not in capsys.readouterr().err
    base, started = (read_model(folder) for folder in (tmp_path / "cache" / "base", tmp_path / "run"))
    assert base.config == started.config
    assert run("make-base", text) == 1
    assert "finished run" in capsys.readouterr().err

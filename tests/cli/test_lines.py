"""`unrolled score --lines`: one output line each, the most surprising, several runs, pipes and growing files."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from tiny import TEXT, tiny_model, tiny_parts
from unrolled.cli.app import main
from unrolled.cli.lines import lines_of
from unrolled.files import write_folder
from unrolled.model.char_model import CharModel
from unrolled.model.novelty import novelty_files
from unrolled.text.vocabulary import BOUNDARY, LABEL_END

MODEL, OTHER = tiny_model("lstm"), tiny_model("gru", seed=1)
LINES = TEXT.splitlines()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines") / "first"
    MODEL.save_pretrained(folder)
    OTHER.save_pretrained(folder.parent / "second")
    return folder


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def output(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    assert main(["score", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()


def test_one_line_of_output_for_each_line(run: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row.split("\t") for row in output(capsys, run, book, "--lines")]
    expected = list(MODEL.score_lines(LINES))
    assert [row[0] for row in rows] == [str(i) for i in range(1, len(LINES) + 1)]
    assert [row[4] for row in rows] == LINES
    for row, one in zip(rows, expected, strict=True):
        assert float(row[1]) == pytest.approx(one.bits, abs=1e-3)
        assert float(row[2]) == pytest.approx(one.total_bits, abs=1e-2)
        assert int(row[3]) == one.position


def test_json_lines(run: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(row) for row in output(capsys, run, book, "--lines", "--json")]
    assert [row["line"] for row in rows] == LINES
    assert rows[0].keys() == {"number", "bits", "total_bits", "peak", "position", "unknown", "line"}


def test_top_puts_the_most_surprising_first(run: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = sorted(enumerate(MODEL.score_lines(LINES), 1), key=lambda row: -row[1].bits)[:3]
    rows = [row.split("\t") for row in output(capsys, run, book, "--lines", "--top", "3")]
    assert [int(row[0]) for row in rows] == [number for number, _ in expected]
    painted = output(capsys, run, book, "--lines", "--top", "3", "--color", "always")
    assert all("\x1b[" in row for row in painted)
    assert [row.split("\t")[0] for row in painted] == [row[0] for row in rows]
    plain = output(capsys, run, book, "--lines", "--top", "3", "--color", "never")
    assert not any("\x1b" in row for row in plain)


def test_the_best_of_several_runs(run: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bits = [[one.total_bits for one in model.score_lines(LINES)] for model in (MODEL, OTHER)]
    assert main(["score", str(run), str(run.parent / "second"), str(book), "--lines"]) == 0
    captured = capsys.readouterr()
    rows = [row.split("\t") for row in captured.out.splitlines()]
    assert [row[1] for row in rows] == ["first" if a < b else "second" for a, b in zip(*bits, strict=True)]
    assert [float(row[2]) for row in rows] == pytest.approx(bits[0], abs=1e-2)
    assert [row[4] for row in rows] == LINES
    assert "is best on" in captured.err


def test_unknown_characters_are_no_error_and_reported(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("the Ж cat\n\nthe cat", encoding="utf-8")
    assert main(["score", str(run), str(tmp_path / "text.txt"), "--lines", "--json"]) == 0
    captured = capsys.readouterr()
    rows = [json.loads(row) for row in captured.out.splitlines()]
    assert [(row["line"], row["unknown"]) for row in rows] == [("the Ж cat", 1), ("", 0), ("the cat", 0)]
    assert rows[1]["bits"] == 0
    assert "1 character is unknown to first, at" in captured.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top", "3"], "add --lines"),
        (["--mask"], "add --lines"),
        (["--lines", "--top", "0"], "--top is 0"),
        (["--lines", "--top", "2", "--follow"], "leave out one of them"),
    ],
)
def test_options_that_do_not_fit(
    options: list[str], message: str, run: Path, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(run), str(book), *options]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\r\nb\n\n", ["a", "b", ""]), ("é\rß", ["é", "ß"])],
)
def test_lines_of_a_file_that_grows_and_of_one_that_does_not(text: str, lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    if text:
        assert [line for group in lines_of((str(path),), "utf-8") for line in group] == lines


def test_a_line_without_end_is_divided(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("x" * (5 << 18), encoding="utf-8")
    pieces = [line for group in lines_of((str(tmp_path / "text.txt"),), "utf-8") for line in group]
    assert "".join(pieces) == "x" * (5 << 18)
    assert max(map(len, pieces)) == 1 << 20


def started(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "unrolled", "score", *map(str, arguments), "--lines"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")


def pipes_of(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def test_standard_input_is_scored_as_it_arrives(run: Path) -> None:
    with started(run, "-") as process:
        stdin, stdout = pipes_of(process)
        for line in LINES[:3]:
            stdin.write(f"{line}\n")
            stdin.flush()
            assert stdout.readline().split("\t")[4] == f"{line}\n", "it is not held back in a buffer"
        stdin.close()
        assert stdout.read() == ""
        assert process.wait(60) == 0


@pytest.mark.skipif(os.name == "nt", reason="a file that is open cannot be replaced there")
def test_a_growing_file_is_followed_also_when_it_is_replaced(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("the cat\nthe d", encoding="utf-8")
    with started(run, path, "--follow") as process:
        _, stdout = pipes_of(process)
        try:
            assert stdout.readline().endswith("\tthe cat\n")
            with path.open("a", encoding="utf-8") as file:
                file.write("og\nsat\n")
            assert stdout.readline().endswith("\tthe dog\n")
            assert stdout.readline().endswith("\tsat\n")
            with path.open("a", encoding="utf-8") as file:
                file.write("the end")
            path.rename(tmp_path / "old.txt")
            (tmp_path / "new.txt").write_text("on the mat\n", encoding="utf-8")
            (tmp_path / "new.txt").rename(path)
            assert stdout.readline().endswith("\tthe end\n")
            assert stdout.readline().endswith("\ton the mat\n")
        finally:
            process.kill()


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = tiny_parts(text=f"{BOUNDARY}jazpo{LABEL_END}blue notes{BOUNDARY}")
    folder = tmp_path_factory.mktemp("labelled") / "run"
    ids = parts.vocabulary.encode(f"{BOUNDARY}pop{LABEL_END}blue{BOUNDARY}a{BOUNDARY}")
    known = novelty_files(ids, parts.vocabulary.boundary, end=2)  # the first record alone
    write_folder(folder, replace(parts, training={"labels": {"jazz": 2, "pop": 3}}).to_files() | known)
    return folder


def test_labels_are_found_and_counted(labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("jazz\tblue\npop\tnote\npop\tblue notes\n")
    plain = tmp_path / "plain.txt"
    plain.write_text("blue\nnote\nblue notes\n")
    assert main(["score", str(labelled), str(path), "--by-label", "--labels"]) == 0
    shown = capsys.readouterr()
    rows = [row.split("\t") for row in shown.out.splitlines()]
    right = sum(row[1] == label for row, label in zip(rows, ("jazz", "pop", "pop"), strict=True))
    assert f"{right} of 3 labels found" in shown.err
    assert "'pop' alone is right on 66.7%" in shown.err
    each = [json.loads(row) for row in output(capsys, labelled, plain, "--by-label", "--json")]
    for row, one in zip(rows, each, strict=True):
        assert row == [f"{one['number']}", one["best"], f"{one['probabilities'][one['best']]:.4f}", one["line"]]
        assert sum(one["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--lines"], "ask for the probability of each label"),
        (["--by-label", "--top", "3"], "leave out --top"),
        (["--lines", "--labels"], "one run finds no labels"),
        (["--labels"], "add --lines"),
        (["--by-label", "--labels"], "no tab"),
    ],
)
def test_labels_that_cannot_be(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    path = tmp_path / "plain.txt"
    path.write_text("blue\n")
    assert main(["score", str(labelled), str(path), *words]) == 1
    assert sentence in capsys.readouterr().err


def test_which_run_is_best_is_counted_by_label(run: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = book.parent / "labelled.txt"
    path.write_text("".join(f"first\t{line}\n" for line in LINES[:3]))
    assert main(["score", str(run), str(run.parent / "second"), str(path), "--lines", "--labels"]) == 0
    shown = capsys.readouterr()
    best = [row.split("\t")[1] for row in shown.out.splitlines()]
    assert f"{best.count('first')} of 3 labels found" in shown.err
    path.write_text("".join(f"english\t{line}\n" for line in LINES[:3]))
    assert main(["score", str(run), str(run.parent / "second"), str(path), "--lines", "--labels"]) == 0
    assert "have other names" in capsys.readouterr().err


def test_records_of_one_label_and_the_best_of_many(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["generate", str(labelled), "--label", "pop", "--count", "30"]
    assert main(ask) == 0
    shown = capsys.readouterr()
    every = shown.out.splitlines()
    assert len(every) == 30
    assert all(record.startswith("pop\t") for record in every)
    assert "30 records drawn are copies" in shown.err
    assert main([*ask, "--best", "4"]) == 0
    bits = {one.line: one.bits for one in CharModel.from_pretrained(labelled).score_lines(every)}
    assert capsys.readouterr().out.splitlines() == sorted(every, key=bits.__getitem__)[:4]
    for words, sentence in ((["--label", "pip"], "did you mean 'pop'"), (["--best", "0"], "--best is 0")):
        assert main(["generate", str(labelled), *words]) == 1
        assert sentence in capsys.readouterr().err


def test_a_kind_of_line_that_comes_again_is_no_news(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"the dog {i} sat\n" for i in range(30)) + "a mat\n")
    bits = [float(row.split("\t")[2]) for row in output(capsys, run, path, "--lines", "--adapt")]
    plain = [float(row.split("\t")[2]) for row in output(capsys, run, path, "--lines")]
    assert bits[:1] + bits[30:] == plain[:1] + plain[30:]
    assert all(one < other - 5 for one, other in zip(bits[1:30], plain[1:30], strict=True))
    first = output(capsys, run, path, "--lines", "--adapt", "--top", 1, "--rank", "total")
    assert first[0].endswith("the dog 0 sat")


@pytest.mark.parametrize("rank", ["total", "peak"])
def test_lines_are_ranked_as_asked(run: Path, book: Path, capsys: pytest.CaptureFixture[str], rank: str) -> None:
    shown = [row.split("\t")[4] for row in output(capsys, run, book, "--lines", "--top", 5, "--rank", rank)]
    keys = {"total": lambda one: -one.total_bits, "peak": lambda one: -one.peak}
    assert shown == [one.line for one in sorted(MODEL.score_lines(LINES), key=keys[rank])][:5]

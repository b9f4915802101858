"""The commands next, generate and score: output, JSON, exit codes, terminals that are not UTF-8, closed pipes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiny import TEXT, tiny_model
from unrolled.cli.app import main
from unrolled.files import write_folder
from unrolled.model.char_model import CharModel
from unrolled.model.novelty import WINDOWS, windows_file

MODEL = tiny_model("lstm")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("use") / "run"
    MODEL.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "book.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def in_a_process(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"NO_COLOR": "1"} | options.pop("env", {})
    command = [sys.executable, "-m", "unrolled", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env=environment, check=False, **options)  # type: ignore[call-overload]


def test_next_shows_the_likeliest_with_visible_names(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["next", str(run), "the cat", "--top", "40"]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = MODEL.next("the cat")
    assert len(lines) == len(expected)
    assert [line.split()[0] for line in lines][:3] == [
        {" ": "␣", "\n": "⏎"}.get(character, character) for character, _ in expected[:3]
    ]
    assert f"{expected[0][1]:.2%}" in lines[0]
    assert any(line.startswith("␣") for line in lines)
    assert any(line.startswith("⏎") for line in lines)


def test_next_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["next", str(run), "the cat", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["prompt"] == "the cat"
    assert [(row["character"], row["probability"]) for row in answer["next"]] == MODEL.next("the cat")


def test_next_after_an_empty_prompt(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["next", str(run), "", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["next"][0]["character"] == max(TEXT, key=TEXT.count)


def test_generate_writes_the_prompt_and_goes_on(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--prompt", "the ", "--length", "50", "--temperature", "0.8", "--top-k", "9", "--top-p", "0.9"]
    options += ["--min-p", "0.01", "--repetition", "1.1", "--seed", "3"]
    assert main(["generate", str(run), *options]) == 0
    settings = {"temperature": 0.8, "top_k": 9, "top_p": 0.9, "min_p": 0.01, "repetition": 1.1, "seed": 3}
    expected = MODEL.generate("the ", 50, **settings)
    assert capsys.readouterr().out == f"the {expected}\n"
    assert main(["generate", str(run), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"prompt": "the ", "text": expected, "seed": 3}


def test_generate_ends_before_any_of_several_stops(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = MODEL.generate("the ", 50)
    stops = ["never", whole[20:23], whole[10:13]]
    options = [part for stop in stops for part in ("--stop", stop)]
    assert main(["generate", str(run), "--prompt", "the ", "--length", "50", *options]) == 0
    expected = min((whole[: whole.index(stop)] for stop in stops[1:]), key=len)
    assert capsys.readouterr().out == f"the {expected}\n"


def test_score_prints_bits_beside_the_compressors(run: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = MODEL.score(TEXT)
    assert main(["score", str(run), str(book)]) == 0
    out = capsys.readouterr().out
    for bits in (expected.bits, expected.gzip_bits, expected.xz_bits):
        assert f"{bits:.3f}" in out
    assert "exact: read in one go" in out
    assert main(["score", str(run), str(book), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == expected.to_json()
    assert {"characters", "nats", "bits", "gzip_bits", "xz_bits"} <= answer.keys()


def test_score_of_unknown_characters(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text("the cat\nand Ж", encoding="utf-8")
    assert main(["score", str(run), str(tmp_path / "text.txt")]) == 1
    assert "'Ж' (U+0416) at position 12, line 2, is not in the vocabulary" in capsys.readouterr().err
    assert main(["score", str(run), str(tmp_path / "text.txt"), "--unknown", "replace"]) == 0
    assert "1 character is unknown" in capsys.readouterr().out


def test_score_reads_lower_case_where_the_model_was_trained_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = MODEL.parts.to_files()
    lower = CharModel(type(MODEL.parts).from_files(files | {"training.json": b'{"recipe": {"lower": true}}'}))
    lower.save_pretrained(tmp_path / "lower")
    (tmp_path / "text.txt").write_text("THE CAT", encoding="utf-8")
    assert main(["score", str(tmp_path / "lower"), str(tmp_path / "text.txt"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nats"] == pytest.approx(MODEL.score("the cat").nats)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["next", "RUN", "the Ж"], "unrolled: 'Ж' (U+0416) at position 4, line 1, is not in the vocabulary"),
        (["next", "RUN", "t", "--top", "0"], "--top is 0"),
        (["next", "nowhere", "t"], "nowhere does not exist"),
        (["generate", "RUN", "--length", "0"], "length is 0"),
        (["generate", "RUN", "--temperature", "-1"], "temperature is -1.0"),
        (["generate", "RUN", "--seed", "-1"], "seed is -1"),
        (["generate", "RUN", "--count", "0"], "count is 0"),
        (["generate", "RUN", "--count", "3"], "give a length instead of a count"),
        (["generate", "RUN", "--stop", ""], "a stop string"),
        (["score", "RUN"], "no text was given"),
        (["score", "RUN", "nowhere.txt"], "nowhere.txt"),
    ],
)
def test_errors_are_one_line_and_exit_code_1(
    arguments: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run) if argument == "RUN" else argument for argument in arguments]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["next"], 'next needs RUN, as in: unrolled next run "part of "'),
        (["next", "RUN"], "next needs PROMPT, as in"),
        (["next", "RUN", "a", "--top"], "--top needs a value"),
        (["look", "units"], "look units needs RUN, as in: unrolled look units"),
        (["generate", "RUN", "--temp", "1"], "did you mean '--temperature'"),
        (["next", "RUN", "a", "--nope"], "--nope"),
        (["next", "RUN", "a", "--unknown", "x"], "--unknown"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    arguments: list[str], message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run) if argument == "RUN" else argument for argument in arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_checkpoint_is_named_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in (1, 2):
        MODEL.save_pretrained(tmp_path / f"checkpoints/step-{step:08d}")
    (tmp_path / "checkpoints/step-00000002/README.md").write_text("")
    assert main(["next", str(tmp_path), "the"]) == 0
    captured = capsys.readouterr()
    assert "step-00000002/README.md is damaged" in captured.err
    assert captured.out


def test_a_terminal_that_is_not_utf8(run: Path) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown = in_a_process("next", run, "the ", "--top", 40, env=ascii_only)
    assert shown.returncode == 0
    assert b"\\xef" in shown.stdout
    assert b"#" in shown.stdout
    written = in_a_process("generate", run, "--prompt", "naïve “oh”", "--length", 200, env=ascii_only)
    assert written.returncode == 0
    assert rb"na\xefve \u201coh\u201d" in written.stdout
    answer = in_a_process("next", run, "naïve", "--json", env=ascii_only)
    assert json.loads(answer.stdout)["prompt"] == "naïve"


@pytest.mark.skipif(os.name == "nt", reason="pipes close differently there")
def test_a_closed_pipe_is_no_error(run: Path) -> None:
    command = [sys.executable, "-m", "unrolled", "generate", str(run), "--length", "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(20)) == 20, "characters come before the end"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=600) == 0


def test_colours_only_where_they_are_wanted(run: Path, book: Path) -> None:
    plain = in_a_process("score", run, book, "--color")
    assert plain.returncode == 0
    assert b"\x1b" not in plain.stdout
    assert plain.stdout.decode().startswith(TEXT)
    coloured = in_a_process(
        "score", run, book, "--color", env={"FORCE_COLOR": "1", "NO_COLOR": "", "TERM": "xterm-256color"}
    )
    assert b"\x1b[" in coloured.stdout
    assert "under 1 bit" in coloured.stdout.decode()


@pytest.mark.parametrize("command", ["next", "generate", "score"])
def test_using_a_model_starts_without_torch(command: str, run: Path, book: Path) -> None:
    argument = {"next": "the ", "generate": "--length=5", "score": str(book)}[command]
    code = f"""
import sys
from unrolled.cli import main
assert main([{command!r}, {str(run)!r}, {argument!r}]) == 0
heavy = {{"torch", "pandas", "sklearn", "matplotlib", "plotly", "rich"}} & set(sys.modules)
sys.exit(f"imported: {{heavy}}" if heavy else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", ["next", "generate", "score"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"unrolled {command} run" in capsys.readouterr().out


def test_a_text_is_read_from_standard_input(run: Path) -> None:
    piped = in_a_process("score", run, "-", "--json", input=TEXT.encode())
    assert json.loads(piped.stdout)["characters"] == len(TEXT)


def test_a_prompt_may_begin_with_a_hyphen(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["next", str(run), "- a", "--unknown", "skip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompt"] == "- a"
    assert main(["generate", str(run), "--prompt", "- a", "--length", "3", "--unknown", "skip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompt"] == "- a"


def test_a_mistyped_option_is_no_text(run: Path, book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(run), str(book), "--exakt"]) == 2
    assert "did you mean '--exact'" in capsys.readouterr().err


def test_escapes_in_a_prompt(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(run), "--prompt", r"mat.\n", "--length", "20", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"prompt": "mat.\n", "text": MODEL.generate("mat.\n", 20), "seed": 0}
    assert main(["next", str(run), r"\\n", "--unknown", "skip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompt"] == r"\n"


def test_an_empty_prompt_begins_a_line() -> None:
    assert MODEL.generate("", 30, seed=2) == MODEL.generate("\n", 30, seed=2)


def test_complete_shows_words_with_their_probabilities(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complete", str(run), "the c", "--count", "3"]) == 0
    found = MODEL.complete("the c", count=3)
    assert capsys.readouterr().out.splitlines() == [f"{one.probability:7.2%}  the c{one.text}" for one in found]
    assert main(["complete", str(run), "the c", "--line", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["completions"] == [
        {"text": one.text, "probability": one.probability} for one in MODEL.complete("the c", "line")
    ]


@pytest.mark.parametrize("option", ["--temp", "--temprature"])
def test_a_mistyped_option_suggests_the_nearest(option: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(run), option, "0.8"]) == 2
    assert "did you mean '--temperature'?" in capsys.readouterr().err


def test_copies_of_the_training_text_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    text = MODEL.generate("the ", 120, temperature=0)
    known = windows_file(MODEL.vocabulary.encode("fish " + text[:100]))
    write_folder(folder, MODEL.parts.to_files() | {WINDOWS: known})
    ask = ["generate", str(folder), "--prompt", "the ", "--temperature", "0"]
    assert main([*ask, "--length", "80"]) == 0
    assert "has 80 characters; 100% of this text is inside runs of 50" in capsys.readouterr().err
    assert main([*ask, "--length", "80", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["longest"], answer["share"]) == (80, 1.0)


def test_without_a_prompt_a_line_begins(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(run), "--length", "20", "--seed", "3"]) == 0
    assert capsys.readouterr().out == MODEL.generate("\n", 20, seed=3) + "\n"

"""The commands that look inside, as a person types them: tables, JSON, pictures, one sentence for bad input."""

import json
import subprocess
import sys

import numpy as np
import pytest

from small import as_folder, echoing_text, shift_register, trained_on
from unrolled.cli import main
from unrolled.cli.showing import run_names
from unrolled.files import write_folder
from unrolled.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def text():
    return echoing_text(3000, 3, seed=2)


@pytest.fixture(scope="module")
def run(text, tmp_path_factory):
    network = shift_register(Vocabulary.of(text), 3)
    return as_folder(network, Vocabulary.of(text), tmp_path_factory.mktemp("look") / "three")


@pytest.fixture(scope="module")
def file(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(text)
    return path


def lines_of(capsys, *arguments, code=0):
    """What a command prints; its exit code is checked, and an error is one sentence on stderr."""
    assert main([str(argument) for argument in arguments]) == code
    out, err = capsys.readouterr()
    if code:
        assert out == ""
        assert err.count("\n") == 1
        return err
    return out


def json_of(capsys, *arguments):
    return json.loads(lines_of(capsys, *arguments, "--json"))


def test_characters_never_seen_can_be_left_out(capsys, run, text, tmp_path):
    strange = tmp_path / "strange.txt"
    strange.write_text(text.replace("a", "az", 70))
    options = ("--distance", 32, "--places", 300, "--unknown", "skip", "--json")
    assert main([str(argument) for argument in ("look", "memory", run, strange, *options)]) == 0
    out, err = capsys.readouterr()
    assert "left out 70 characters" in err
    assert json.loads(out)["memories"][0]["memory"] == 3


def test_memory_says_the_number_and_draws_the_curve(capsys, run, file, tmp_path):
    picture = tmp_path / "memory.png"
    options = ("--distance", 32, "--places", 300)
    shown = lines_of(capsys, "look", "memory", run, run, file, *options, "--out", picture)
    assert shown.count("three: memory 3 characters") == 2
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json_of(capsys, "look", "memory", run, file, *options, "--measure", "causal")
    assert [memory["memory"] for memory in found["memories"]] == [3]


def test_agree_shows_a_table_from_arguments_and_a_file(capsys, run, tmp_path):
    lines = tmp_path / "pairs.txt"
    lines.write_text("# pairs\nab{a|b}c[a|b]c\n\na[c|d] \n".replace("] ", "]"))
    shown = lines_of(capsys, "look", "agree", run, "abc[a|d]", "--file", lines)
    assert len(shown.splitlines()) == 1 + 1 + 2 + 1 + 2
    found = json_of(capsys, "look", "agree", run, "abc[a|d]")
    assert found["agreements"][0]["preferred"] == "a"


def test_units_are_silent_where_nothing_is_convincing(capsys, run, file, tmp_path):
    shown = lines_of(capsys, "look", "units", run, file, "--characters", 2500)
    assert "rule: " in shown
    page = tmp_path / "unit.html"
    shown = lines_of(capsys, "look", "units", run, file, "--unit", 1)
    assert "painted by unit 1 of layer 0" in shown
    shown = lines_of(capsys, "look", "units", run, file, "--unit", 1, "--out", page)
    assert "with unit 1 of layer 0 set to zero" in shown
    assert "painted by" not in shown
    assert "<pre>" in page.read_text()
    assert json_of(capsys, "look", "units", run, file, "--unit", 1)["silenced"]["unit"] == {"layer": 0, "number": 1}


def test_state_draws_a_map_and_prints_the_path(capsys, run, tmp_path):
    picture = tmp_path / "map.png"
    assert "of the variance" in lines_of(capsys, "look", "state", run, "abcdabcd", "--out", picture)
    assert picture.stat().st_size > 1000
    assert len(json_of(capsys, "look", "state", run, "abcdabcd")["path"]) == 8


def test_lab_shows_where_each_rung_stands(capsys, tmp_path):
    picture = tmp_path / "lab.png"
    options = ("--rung", "rnn,irnn:tanh", "--length", "4,8", "--steps", 4, "--hidden", 4)
    shown = lines_of(capsys, "lab", "copy", *options, "--out", picture)
    assert "irnn, tanh, identity start" in shown
    assert picture.stat().st_size > 1000
    assert len(json_of(capsys, "lab", "adding", *options)["curves"]) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("memory", "RUN"), "run folders and a text are needed"),
        (("memory", "RUN", "STRANGE"), "'z' (U+007A) at position 3, line 1, does not occur in the training text"),
        (("memory", "RUN", "STRANGE", "--characters", "0"), "at least 1"),
        (("memory", "RUN", "FILE", "--distance", "5000"), "give a longer text"),
        (("memory", "RUN", "FILE", "--measure", "caused"), "did you mean 'causal'"),
        (("memory", "RUN", "FILE", "--out", "curve.gif"), "'.gif'"),
        (("memory", "RUN", "FILE", "--places", "3"), "3 places"),
        (("memory", "RUN", "FILE", "--seed", "-1"), "seed is -1"),
        (("memory", "FILE", "FILE"), "is a file, but a folder"),
        (("memory", "nowhere", "FILE"), "nowhere does not exist"),
        (("memory", "RUN", "nowhere.txt"), "nowhere.txt does not exist"),
        (("agree", "RUN", "no choice"), "line 1 needs one choice"),
        (("agree", "RUN", "a[z|b]"), "'z'"),
        (("agree", "RUN"), "no line has a choice"),
        (("agree", "RUN", "--text", "FILE"), "give it with --cue"),
        (("agree", "RUN", "a[b|c]", "--text", "FILE", "--cue", "a|b"), "without lines"),
        (("agree", "RUN", "--text", "FILE", "--cue", "a"), "'a', but two or more different words"),
        (("agree", "RUN", "--text", "FILE", "--cue", "a|b", "--choice", "he"), "'he', but two or more"),
        (("agree", "RUN", "--text", "FILE", "--cue", "xx|yy"), "within 200 characters after"),
        (("agree", "RUN", "--text", "FILE", "--cue", "a|b", "--places", "0"), "places is 0"),
        (("agree", "RUN", "--file", "nowhere.txt"), "nowhere.txt does not exist"),
        (("units", "RUN", "FILE", "--unit", "99"), "no unit 99"),
        (("units", "RUN", "FILE", "--unit", "0", "--out", "unit.png"), "'.png'"),
        (("units", "RUN", "STRANGE"), "'z'"),
        (("units", "RUN", "SHORT"), "has 300 characters, but a scan of units needs 2,000"),
        (("state", "RUN", "ab"), "shows 3 to 400"),
        (("state", "RUN", "abz"), "'z'"),
        (("state", "RUN", "abcd", "--layer", "4"), "no layer 4"),
        (("state", "RUN", "abcd", "--out", "state.html"), "'.html'"),
        (("state", "RUN", "abcd", "--out", "nowhere/state.png"), "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(capsys, run, file, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strange.txt").write_text("abcz" * 100)
    (tmp_path / "short.txt").write_text("abc" * 100)
    named = {"RUN": run, "FILE": file, "STRANGE": tmp_path / "strange.txt", "SHORT": tmp_path / "short.txt"}
    assert message in lines_of(capsys, "look", *(named.get(a, a) for a in arguments), code=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ading",), "did you mean 'adding'"),
        (("adding", "--rung", "gruu"), "did you mean 'gru'"),
        (("adding", "--length", "ten"), "'ten'"),
        (("adding", "--length", "1"), "at least 2"),
        (("adding", "--out", "lab.txt"), "'.txt'"),
        (("adding", "--learning-rate", "-1"), "learning rate is -1"),
        (("adding", "--learning-rate", "nan"), "learning rate is nan"),
        (("adding", "--repeats", "0"), "repeats is 0"),
        (("adding", "--seed", "-1"), "seed is -1"),
    ],
)
def test_bad_requests_to_the_lab_are_one_sentence(capsys, arguments, message):
    assert message in lines_of(capsys, "lab", *arguments, code=1)


WITHOUT = """
import json, sys
sys.modules[sys.argv[1]] = None
from unrolled.cli import main
assert [main(command) for command in json.loads(sys.argv[2])] == json.loads(sys.argv[3])
"""


@pytest.mark.parametrize(
    ("library", "extra", "commands"),
    [
        (
            "matplotlib",
            "plot",
            [
                "plot RUN --out vectors.png",
                "look memory RUN FILE --out memory.svg",
                "look state RUN abcd --out map.png",
            ],
        ),
        ("plotly", "plot", ["plot RUN --out vectors.html"]),
        ("torch", "train", ["look memory RUN FILE", "lab adding"]),
    ],
)
def test_a_missing_library_is_one_sentence_that_names_the_extra(run, file, tmp_path, library, extra, commands):
    named = {"RUN": f"{run}", "FILE": f"{file}"}
    words = [[named.get(word, word) for word in command.split()] for command in commands]
    command = [sys.executable, "-c", WITHOUT, library, json.dumps(words), json.dumps([1] * len(words))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = f"unrolled: this needs {library}, which is not installed: pip install 'unrolled[{extra}]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", said * len(words))


def test_a_folder_of_another_kind_is_one_sentence(capsys, run, tmp_path):
    other = tmp_path / "encoder"
    write_folder(other, {"encoder.json": b"{}"})
    assert "not a model folder" in lines_of(capsys, "look", "state", other, "abcd", code=1)
    assert "not a model folder" in lines_of(capsys, "look", "diagram", other, code=1)


def test_a_network_whose_weights_make_no_numbers_is_refused(capsys, text, file, tmp_path):
    network = shift_register(Vocabulary.of(text), 3)
    network.layers[0].get_parameter("weight_hh").fill_(1e30)
    broken = as_folder(network, Vocabulary.of(text), tmp_path / "broken")
    shown = lines_of(capsys, "look", "memory", broken, file, "--distance", 16, "--places", 100, code=1)
    assert "not finite" in shown


def test_agreement_follows_the_cue_at_the_command_line(capsys, tmp_path):
    network, vocabulary = trained_on("xac ybd " * 200, "gru", steps=60, hidden=16)
    folder = as_folder(network, vocabulary, tmp_path / "cue")
    found = json_of(capsys, "look", "agree", folder, "{xa|yb}[c|d]")["agreements"]
    assert [one["preferred"] for one in found] == ["c", "d"]
    assert np.sum(found[0]["shares"]) == pytest.approx(1)
    places = tmp_path / "places.txt"
    places.write_text("xa c. yb d. " * 40)
    options = ("--text", places, "--cue", "xa|yb", "--choice", "c|d", "--places", 20)
    assert "'.'" in lines_of(capsys, "look", "agree", folder, *options, code=1)  # a character it never saw
    places.write_text("xa c yb d " * 40)
    picture = tmp_path / "agree.svg"
    assert "20 lines" in lines_of(capsys, "look", "agree", folder, *options, "--out", picture)
    assert picture.read_bytes().startswith(b"<?xml")
    assert len(json_of(capsys, "look", "agree", folder, *options)["shifts"]) == 20


def test_runs_in_folders_of_one_name_are_told_apart():
    assert run_names(["a/run", "b/run", "other"]) == {"a/run": "a/run", "b/run": "b/run", "other": "other"}

"""What a stranger wrote reaches a terminal as codes, and a pipe as it is. A real terminal: the slave side of a pty."""

import contextlib
import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from tiny import tiny_parts
from unrolled.cli.output import LONGEST_MESSAGE
from unrolled.files import to_json, write_folder
from unrolled.html import LONGEST_NAME, column_title
from unrolled.model.char_model import CharModel
from unrolled.model.folder import CONFIG, WEIGHTS
from unrolled.model.tensors import write_tensors
from unrolled.progress import progress_bar
from unrolled.terminal import shown

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")

OWNED = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\r"
WIDTH = 80


def on_a_terminal(*arguments):
    """What `unrolled` writes to a terminal, stdout and stderr together, and its exit code."""
    master, slave = pty.openpty()
    environment = os.environ | {"COLUMNS": f"{WIDTH}", "TERM": "xterm", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "unrolled", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    return all_from(master).replace("\r\n", "\n"), process.wait()


def all_from(master):
    """What was written to the other side, until that is closed."""
    written = b""
    with contextlib.suppress(OSError):  # which tells the end
        while read := os.read(master, 1 << 16):
            written += read
    os.close(master)
    return written.decode()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A model that has read control characters and writes little else."""
    path = tmp_path_factory.mktemp("stranger") / "run"
    CharModel(tiny_parts("rnn", text=OWNED + "\n")).save_pretrained(path)
    return path


def controls_in(text):
    return {character for character in text if shown(character) != character}


def test_texts_that_a_model_writes(run):
    arguments = ("generate", run, "--length", "200", "--seed", "3")
    written, code = on_a_terminal(*arguments)
    assert code == 0
    assert controls_in(written) == set()
    assert "\\u001b" in written
    raw, code = on_a_terminal(*arguments, "--raw")
    piped = subprocess.run([sys.executable, "-m", "unrolled", *arguments], capture_output=True).stdout.decode()
    assert "\x1b" in raw
    assert "\x1b" in piped
    assert shown(piped) == written
    as_json, _ = on_a_terminal(*arguments, "--json")
    assert controls_in(as_json) == set()
    assert json.loads(as_json)["text"] == piped[:-1]


def test_lines_of_a_text(run, tmp_path):
    (tmp_path / "lines.txt").write_text(f"{'a line of a log ' * 9}{OWNED}\n" * 2)
    arguments = ("score", run, tmp_path / "lines.txt", "--lines")
    written, code = on_a_terminal(*arguments)
    assert code == 0
    assert controls_in(written) == set()
    assert written.count("\\u001b]0;owned") == 2
    raw, _ = on_a_terminal(*arguments, "--raw")
    assert raw.count("\x1b]0;owned\x07") == 2


def test_a_progress_bar_shows_what_it_is_told(monkeypatch):
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("COLUMNS", "200")
        with progress_bar() as progress:
            progress(f"column [/red] {OWNED}", 0.5)
    written = all_from(master)
    assert "column [/red] \\u001b]0;owned\\u0007" in written
    assert "\x1b]0;" not in written


def test_errors_name_a_tensor_and_a_path_of_a_stranger(tmp_path):
    parts = tiny_parts("rnn", text="ab")
    weights = write_tensors(parts.weights | {OWNED + "x" * 9999: parts.weights["head.bias"]})
    for folder, files in {
        f"{OWNED}\n": parts.to_files() | {WEIGHTS: weights},
        "rung": parts.to_files() | {CONFIG: to_json(parts.config.to_json() | {"rung": OWNED})},
    }.items():
        write_folder(tmp_path / folder, files)
        written, code = on_a_terminal("next", tmp_path / folder, "a")
        assert code == 1
        assert controls_in(written) == set()
        assert len(written) < 8 * LONGEST_MESSAGE
        assert written.startswith("unrolled: ")
        assert written.count("\n") == 1


def test_names_of_columns_and_categories(tmp_path):
    long, n, owned = "a long name " * 30, 60, OWNED.rstrip("\r")  # which a CSV would have to quote
    table = pd.DataFrame({
        f"shop{owned}": [f"{owned}{i % 3}" for i in range(n)], f"{long}1": [f"c{i % 4}" for i in range(n)],
        f"{long}2": [f"d{i % 5}" for i in range(n)], "sales": [float(i % 3) + i / n for i in range(n)],
    })  # fmt: skip
    table.to_csv(tmp_path / "table.csv", index=False)
    written, code = on_a_terminal(
        "columns", tmp_path / "table.csv", "--target", "sales", "--folds", "2", "--seeds", "1"
    )
    assert code == 0, written
    assert controls_in(written) <= {"\x1b", "\r"}  # the progress bar's own
    assert "\\u000d" not in written  # which is not shown as a code
    assert "owned\x07" not in written
    assert "\x1b]0" not in written
    assert "\u202e" not in written


def test_a_long_name_keeps_its_ends():
    first, second = (column_title("a long name " * 30 + end) for end in "12")
    assert len(first) == len(second) == LONGEST_NAME
    assert first != second

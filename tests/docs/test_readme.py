"""Every command and every piece of Python in the README runs when pasted in order into one fresh folder.

Times and sizes are cut down, so that it stays a test; with UNROLLED_README=full in the environment all of it runs as it
is written. Left out: the lines that install, which `tests/test_wheel.py` and the release do.
"""

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from serve.running import running
from unrolled.cli.app import main
from unrolled.tables.data.demo import demo_table
from unrolled.text import datasets

README = Path(__file__).parents[2] / "README.md"
FULL = os.environ.get("UNROLLED_README") == "full"
SHORTER = {
    "demo": ["--minutes", "0.005"],
    "train": ["--minutes", "0.005", "--hidden", "32"],
    "look memory": ["--places", "100"],
    "look units": ["--characters", "5000"],
    "lab": ["--steps", "3", "--length", "10"],
    "columns": ["--folds", "2", "--seeds", "1", "--budget", "0.5"],
    "embed": ["--networks", "1"],
    "compare": ["--folds", "2", "--seeds", "1", "--networks", "1", "--models", "linear", "--models", "network"],
}
"""Options in place of those that a command of the README has, or beside them."""


def commands() -> list[list[str]]:
    """The words of the lines that begin with `unrolled`, in their order."""
    lines = re.findall(r"^    (unrolled .+)$", README.read_text("utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in lines]


def shortened(words: list[str]) -> list[str]:
    if FULL:
        return words
    name = " ".join(words[:2] if words[0] == "look" else words[:1])
    options = [] if "counts" in words else SHORTER.get(name, [])  # counts have no network to make smaller
    words = list(words)
    for option in options[::2]:
        if option in words:
            place = words.index(option)
            del words[place : place + 2]
    return words + options


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh folder with the files that the README speaks of."""
    path = tmp_path_factory.mktemp("readme")
    text = datasets.python_docs()
    assert "part of " in text
    (path / "book.txt").write_text(text if FULL else text[:40_000], encoding="utf-8")
    (path / "other.txt").write_text(text[10_000:20_000], encoding="utf-8")
    (path / "notes.txt").write_text(text[20_000:50_000], encoding="utf-8")
    for name, part in (("today.log", text[:5_000]), ("access.log", text[5_000:30_000])):
        (path / name).write_text(part, encoding="utf-8")
    (path / "names.txt").write_text("\n".join(sorted(set(re.findall(r"[a-z]{3,}", text)))[:600]), encoding="utf-8")
    demo_table(0, 400, 24).frame.to_csv(path / "sales.csv", index=False)
    return path


def test_there_are_commands_of_every_kind() -> None:
    assert len(commands()) > 15
    assert {"train", "next", "generate", "score", "serve", "look", "lab", "plot", "columns", "embed", "compare"} <= {
        words[0] for words in commands()
    }


def test_every_command_runs_in_the_order_in_which_it_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    if not FULL:
        text = datasets.python_docs()[:40_000]
        monkeypatch.setattr(datasets, "python_docs", lambda: text)
    for words in commands():
        if words[0] == "serve":
            with running(Path(words[1]), folder / "said", *words[2:]) as server:
                assert server.port
        else:
            assert main(shortened(words)) == 0, f"unrolled {shlex.join(words)}: {capsys.readouterr().err}"
        for option, value in itertools.pairwise(words):
            assert option != "--out" or Path(value).exists(), f"unrolled {shlex.join(words)} wrote nothing"


def test_the_python_runs_after_the_commands(folder: Path) -> None:
    """In a process of its own, as a person would; the table X, y is the one of the file."""
    pytest.importorskip("lightgbm", reason="LightGBM is not installed (pip install 'unrolled[bench]')")
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 2
    table = "import pandas as pd\nX = pd.read_csv('sales.csv')\ny = X.pop('Sales')\n"
    code = "\n".join(blocks if FULL else [block.replace("minutes=10", "minutes=0.005, hidden=32") for block in blocks])
    done = subprocess.run([sys.executable, "-c", table + code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_picture_and_link_is_there() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", README.read_text("utf-8")):
        assert (README.parent / target).exists(), target

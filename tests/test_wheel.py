"""The wheel as a stranger installs it: into a fresh environment without any extra, every command tried there."""

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

from tiny import tiny_model
from unrolled.cli.app import COMMANDS, LOOK_COMMANDS
from unrolled.errors import EXTRAS

ROOT = Path(__file__).parents[1]
LINES = {
    "demo": [],
    "train": ["book.txt", "--out", "new"],
    "ladder": ["book.txt"],
    "make-base": ["book.txt"],
    "next": ["run", "the"],
    "generate": ["run", "--length", "9"],
    "score": ["run", "book.txt"],
    "columns": ["table.csv", "--target", "y"],
    "embed": ["table.csv", "--target", "y", "--out", "new"],
    "compare": ["table.csv", "--target", "y"],
    "plot": ["run", "--out", "vectors.png"],
    "serve": ["run"],
    "cache": [],
    "complete": ["run", "the c"],
    "lab": ["adding"],
    "look diagram": ["run"],
    "look memory": ["run", "book.txt"],
    "look agree": ["run", "the [cat|dog]"],
    "look units": ["run", "book.txt"],
    "look state": ["run", "the cat", "--out", "state.png"],
}
"""What stands behind each command; a new command needs a line here."""
USING = {"cache", "complete", "next", "generate", "score", "look agree", "look diagram"}
"""Commands that use a model, for which no extra is needed."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with nothing but the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True, capture_output=True)
    (wheel,) = folder.glob("unrolled-*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    subprocess.run([*pip, "--python", python, "install", wheel], check=True, capture_output=True)
    return python


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model, a text and a table."""
    path = tmp_path_factory.mktemp("files")
    tiny_model("lstm").save_pretrained(path / "run")
    (path / "book.txt").write_text("the cat sat on the mat. " * 200)
    (path / "table.csv").write_text("shop,y\n" + "".join(f"s{i % 3},{i % 7}\n" for i in range(60)))
    return path


def said(python: Path, words: Sequence[str], folder: Path) -> tuple[int, str]:
    done = subprocess.run([python, "-I", "-m", "unrolled", *words], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_every_command_has_a_line_above() -> None:
    assert set(LINES) == {*COMMANDS, *(f"look {name}" for name in LOOK_COMMANDS)}


@pytest.mark.skipif(not os.environ.get("CI"), reason="installs from a package registry: in CI, or with CI=true")
def test_every_command_of_the_bare_wheel_works_or_names_its_extra(environment: Path, folder: Path) -> None:
    assert said(environment, ["--version"], folder)[0] == 0
    for name, arguments in LINES.items():
        code, errors = said(environment, [*name.split(), *arguments], folder)
        assert "Traceback" not in errors, f"{name}: {errors}"
        if name in USING:
            assert code == 0, f"{name}: {errors}"
        else:
            extras = {f"'unrolled[{extra}]'" for extra in EXTRAS.values()}
            assert code == 1, f"{name}: {errors}"
            assert any(extra in errors for extra in extras), f"{name}: {errors}"
            assert errors.count("\n") == 1, f"{name}: {errors}"

"""The reference names everything that is public; what it says of each is generated from the code."""

from pathlib import Path

import unrolled

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_every_public_name_is_in_the_reference() -> None:
    page = (REFERENCE / "python.md").read_text("utf-8")
    words = {line.rpartition(":: ")[2].rpartition(".")[2] for line in page.splitlines() if line.startswith(".. auto")}
    assert {name for name in unrolled.__all__ if not name.startswith("__")} <= words


def test_commands_are_those_of_the_program() -> None:
    assert ".. cyclopts:: unrolled.cli.app:app" in (REFERENCE / "commands.md").read_text("utf-8")

"""Progress away from a terminal: a line at every tenth."""

import pytest

from unrolled.progress import progress_bar


def test_a_line_at_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as progress:
        for step in range(101):
            progress("work", step / 100)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith(" 10%  work, about")

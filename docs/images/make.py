"""Make the pictures of the README again: python docs/images/make.py (about two minutes, offline)."""

import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from unrolled.cli import output, train

HERE = Path(__file__).parent


def main() -> None:
    """The demo in a terminal, and the vectors of its characters."""
    recorder = Console(record=True, width=100, file=io.StringIO(), highlight=False)
    train.results = train.messages = output.results = output.messages = lambda: recorder
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "unrolled-demo"
        train.demo(out=run)
        (HERE / "embedding.png").write_bytes((run / "embedding.png").read_bytes())
    svg = recorder.export_svg(title="make demo")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S)  # fonts from elsewhere: the system's own will do
    (HERE / "demo.svg").write_text(svg.replace(folder + "/", ""))


if __name__ == "__main__":
    sys.exit(main())

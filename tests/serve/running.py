"""A server as people have it: a process started through the command line. In this one torch cannot be imported."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WITHOUT = """
import signal, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background hands down that it is ignored
from unrolled.cli import main
sys.exit(main())
"""


def command(*arguments: object, without: str = "torch") -> list[str]:
    """The command line `unrolled ARGUMENTS`, in a Python that lacks the module `without` and takes no warning."""
    return [sys.executable, "-W", "error", "-c", WITHOUT.format(module=without), *map(str, arguments)]


@dataclass
class Running:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    address: str
    said: Path
    """What it has written to stderr."""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(120)


@contextlib.contextmanager
def running(run: Path, said: Path, *options: str) -> Iterator[Running]:
    """A server of `run` on a free port, which is stopped in the end and must have had nothing to complain of."""
    line = command("serve", run, "--port", "0", "--json", *options)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with said.open("wb") as stderr:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=stderr, env=environment)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, said.read_text()
        yield Running(process, json.loads(first)["address"], said)
    finally:
        process.terminate()
        process.wait(120)
        process.stdout.close()
    assert "Traceback" not in said.read_text()

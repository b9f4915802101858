"""One server of one tiny model for all tests that only ask it something."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serve.running import Running, running
from tiny import tiny_model

MODEL = tiny_model("lstm", hidden=16)
PASSWORD = "open sésame"


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve") / "run"
    MODEL.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def server(run: Path) -> Iterator[Running]:
    with running(run, run.parent / "said.txt") as started:
        yield started


@pytest.fixture(scope="session")
def locked(run: Path) -> Iterator[Running]:
    """A server with a password."""
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # undone before any other test
            patch.setenv("UNROLLED_PASSWORD", PASSWORD)
            started = stack.enter_context(running(run, run.parent / "said-locked.txt"))
        yield started


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=120) as opened:
        yield opened

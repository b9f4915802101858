"""Named data sets, fetched from a server on this machine and never from outside."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from data import shared_data
from unrolled.errors import InputError
from unrolled.text.corpus import open_corpus
from unrolled.text.datasets import DOWNLOADS, fetch, named_source, python_docs


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and keeps the log off the screen."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The base URL of a server on this machine, and the folder it serves."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("UNROLLED_CACHE", f"{tmp_path / 'cache'}")
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("UNROLLED_MIRROR", url := f"http://127.0.0.1:{server.server_port}")
        yield url, folder
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("name", "characters"), [("nietzsche", 600_893), ("tinyshakespeare", 1_115_394)])
def test_a_text_is_fetched_once(
    name: str, characters: int, site: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = site
    (folder / f"{name}.txt").write_bytes(shared_data(f"{name}.txt").read_bytes())
    monkeypatch.setenv("UNROLLED_MIRROR", url + "/")
    corpus = open_corpus([name])
    assert corpus.name == name
    assert len(corpus.read()) == characters
    (folder / f"{name}.txt").unlink()
    assert fetch(name) == tmp_path / "cache" / f"{name}.txt"
    assert len(open_corpus([name]).read()) == characters


def test_a_damaged_text_in_the_cache_is_fetched_again(site: tuple[str, Path]) -> None:
    _, folder = site
    (folder / "nietzsche.txt").write_bytes(shared_data("nietzsche.txt").read_bytes())
    path = fetch("nietzsche")
    good = path.read_bytes()
    path.write_bytes(good[:1000])
    assert fetch("nietzsche").read_bytes() == good


def test_a_text_that_is_not_the_one_promised_is_refused_and_not_kept(site: tuple[str, Path], tmp_path: Path) -> None:
    _, folder = site
    (folder / "nietzsche.txt").write_text("something else")
    with pytest.raises(InputError, match="is not the text 'nietzsche'"):
        fetch("nietzsche")
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("site")
def test_without_a_connection_the_ways_out_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"could not be downloaded from .*\(File not found\)") as caught:
        fetch("nietzsche")
    for way in ("UNROLLED_MIRROR", f"{tmp_path / 'cache' / 'nietzsche.txt'}", "'python-docs'"):
        assert way in str(caught.value)
    monkeypatch.setenv("UNROLLED_MIRROR", "http://127.0.0.1:1")
    with pytest.raises(InputError, match=r"could not be downloaded from http://127.0.0.1:1/.*\(Connection refused\)"):
        fetch("nietzsche")


@pytest.mark.usefixtures("site")
def test_a_file_put_into_the_cache_by_hand_needs_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_MIRROR", "http://127.0.0.1:1")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "nietzsche.txt").write_bytes(shared_data("nietzsche.txt").read_bytes())
    assert len(b"".join(block for block, _ in named_source("nietzsche").blocks())) == 600_901


def test_the_reference_of_python_is_the_same_each_time_and_about_as_long() -> None:
    text = python_docs()
    assert text == python_docs() == open_corpus(["python-docs"]).read()
    assert 300_000 < len(text) < 1_000_000
    assert text.startswith('The "assert" statement\n')
    assert "\r" not in text


def test_published_addresses_are_encrypted_and_have_sums() -> None:
    for url, sha256 in DOWNLOADS.values():
        assert url.startswith("https://")
        assert len(bytes.fromhex(sha256)) == 32

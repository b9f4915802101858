"""The cache stays below its bound, and only files of ours are ever deleted."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from unrolled.cli.app import main
from unrolled.errors import InputError
from unrolled.text.cache import OWN, cache_entries, cache_folder, cache_limit, make_room
from unrolled.text.corpus import open_corpus
from unrolled.text.datasets import DOWNLOADS
from unrolled.text.encoded import encode_corpus


def fill(folder: Path, sizes: Sequence[int]) -> list[str]:
    """Entries of so many bytes, the first used longest ago; returns their names."""
    folder.mkdir(exist_ok=True)
    names = [f"{i:064x}" for i in range(len(sizes))]
    for i, (name, size) in enumerate(zip(names, sizes, strict=True)):
        (folder / f"{name}.ids").write_bytes(bytes(size))
        (folder / f"{name}.json").write_text("")
        for path in folder.glob(f"{name}.*"):
            os.utime(path, (i, i))
    return names


def test_the_cache_is_where_one_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNROLLED_CACHE", f"{tmp_path}")
    assert cache_folder() == tmp_path
    monkeypatch.delenv("UNROLLED_CACHE")
    assert cache_folder().name == "unrolled"


def test_what_was_used_longest_ago_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_CACHE_GB", "1e-6")  # 1,000 bytes
    names = fill(tmp_path, [400, 300, 200])
    make_room(tmp_path, "new", 300)
    assert [entry.name for entry in cache_entries(tmp_path)] == names[:0:-1]
    make_room(tmp_path, names[1], 800)  # its own old file does not count
    assert [entry.name for entry in cache_entries(tmp_path)] == names[:0:-1]
    make_room(tmp_path, "new", 1000)
    assert cache_entries(tmp_path) == []


def test_a_text_larger_than_the_bound_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_CACHE_GB", "1e-6")
    names = fill(tmp_path, [400])
    with pytest.raises(InputError, match=r"take 1\.1e-06 GB, but the cache may hold 1e-06 GB: set UNROLLED_CACHE_GB"):
        make_room(tmp_path, "new", 1100)
    assert [entry.name for entry in cache_entries(tmp_path)] == names


@pytest.mark.parametrize("given", ["", "0", "-1", "much", "nan", "inf"])
def test_a_bound_that_is_none(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_CACHE_GB", given)
    with pytest.raises(InputError, match="UNROLLED_CACHE_GB is"):
        cache_limit()


def test_a_text_that_is_read_again_was_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"the {name} text " * 50)
        encode_corpus(open_corpus([tmp_path / name]), cache=cache, in_memory_bytes=0)
    for path in cache.iterdir():
        os.utime(path, (1, 1))
    encode_corpus(open_corpus([tmp_path / "one"]), cache=cache, in_memory_bytes=0)
    last, first = cache_entries(cache)
    assert last.used > first.used == 1
    monkeypatch.setenv("UNROLLED_CACHE_GB", f"{last.bytes / 1e9 + 1e-8}")
    make_room(cache, "new", 10)
    assert cache_entries(cache)[0].name == last.name
    encode_corpus(open_corpus([tmp_path / "two"]), cache=cache, in_memory_bytes=0)
    assert last.name not in [entry.name for entry in cache_entries(cache)]


def test_list_and_clear_and_other_files_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNROLLED_CACHE", f"{tmp_path}")
    assert main(["cache"]) == 0
    assert "0.0 MB in" in capsys.readouterr().err
    names = fill(tmp_path, [3_000_000, 10])
    (tmp_path / "letter.txt").write_text("dear")
    (tmp_path / "nietzsche.txt").write_text("early")
    assert main(["cache", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in found["entries"]] == ["nietzsche", *names[::-1]]
    assert found["bytes"] == 3_000_015
    assert main(["cache"]) == 0
    shown = capsys.readouterr()
    assert "000000000000…  3.0" in shown.out
    assert main(["cache", "--clear"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_every_download_is_one_of_ours() -> None:
    assert all(OWN.fullmatch(f"{name}.txt") for name in DOWNLOADS)

"""Encoding a corpus: in memory and mapped alike, resumed after a kill, repaired after damage, and said no to."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import shared_data
from unrolled.errors import FolderError, InputError
from unrolled.text.corpus import open_corpus, text_corpus
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.vocabulary import UNKNOWN, Vocabulary

TEXT = "A line of text – wider than a byte, with 中 and 😀.\n" * 5000


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def mapped(path: Path, cache: Path, **options: Any) -> EncodedText:
    return encode_corpus(open_corpus([path]), in_memory_bytes=0, cache=cache, **options)


def cached(cache: Path, suffix: str) -> Path:
    (path,) = cache.glob(f"*{suffix}")
    return path


def test_nietzsche() -> None:
    encoded = encode_corpus(open_corpus([shared_data("nietzsche.txt")]))
    assert (len(encoded), len(encoded.vocabulary), encoded.ids.itemsize) == (600_893, 85, 1)
    assert encoded.ids[:10].tolist() == [40, 42, 29, 30, 25, 27, 29, 1, 1, 1]
    assert encoded.sha256 == "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647"  # it has plain newlines


def test_a_chinese_novel_with_rare_characters_merged() -> None:
    corpus = open_corpus([shared_data("hongloumeng_zh.txt")])
    encoded = encode_corpus(corpus, min_count=5)
    assert encoded.ids.dtype == np.uint16
    assert np.count_nonzero(encoded.ids == UNKNOWN) == encoded.vocabulary.merged_count
    assert encoded.vocabulary.merged_count / len(encoded) == pytest.approx(0.0034, abs=1e-4)
    text, decoded = corpus.read(), encoded.vocabulary.decode(encoded.ids)
    assert sum(a != b for a, b in zip(text, decoded, strict=True)) == encoded.vocabulary.merged_count


@pytest.mark.parametrize("min_count", [1, 6000])
def test_mapped_ids_are_those_in_memory(corpus_file: Path, tmp_path: Path, min_count: int) -> None:
    corpus = open_corpus([corpus_file])
    memory, file = (
        encode_corpus(corpus, min_count=min_count),
        mapped(corpus_file, tmp_path / "cache", min_count=min_count),
    )
    assert (memory.ids.flags.writeable, file.ids.flags.writeable) == (True, False)
    assert np.array_equal(memory.ids, file.ids)
    assert memory.ids.dtype == file.ids.dtype
    assert memory.vocabulary == file.vocabulary
    assert memory.sha256 == file.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    file.release()
    assert np.array_equal(memory.ids, file.ids)


def test_the_hash_is_that_of_the_text_and_not_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert encode_corpus(open_corpus([path])).sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert encode_corpus(open_corpus([path], lower=True)).sha256 != hashlib.sha256(TEXT.encode()).hexdigest()


def test_the_cache_is_used_again_and_keyed_by_all_that_matters(corpus_file: Path, tmp_path: Path) -> None:
    cache, stages = tmp_path / "cache", list[str]()
    first = mapped(corpus_file, cache)
    again = mapped(corpus_file, cache, progress=lambda stage, done, total: stages.append(stage))
    assert set(stages) == {"counting"}
    assert np.array_equal(first.ids, again.ids)
    others = [
        mapped(corpus_file, cache, min_count=6000),
        mapped(corpus_file, cache, vocabulary=Vocabulary.of("A line"), unknown="replace"),
        mapped(corpus_file, cache, vocabulary=Vocabulary.of("A line"), unknown="skip"),
    ]
    corpus_file.write_text(TEXT + "more", encoding="utf-8")
    others.append(mapped(corpus_file, cache))
    assert len(list(cache.glob("*.ids"))) == len(list(cache.glob("*.json"))) == 5
    assert len({other.ids.tobytes() for other in others} | {first.ids.tobytes()}) == 5


@pytest.mark.parametrize("damage", ["flip", "truncate", "extend", "facts", "foreign", "lost"])
def test_a_damaged_cache_is_repaired(corpus_file: Path, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    good = mapped(corpus_file, cache).ids.tobytes()
    ids, facts = cached(cache, ".ids"), cached(cache, ".json")
    if damage == "flip":
        ids.write_bytes(good[:1000] + bytes([good[1000] ^ 1]) + good[1001:])
    elif damage == "truncate":
        ids.write_bytes(good[:1000])
    elif damage == "extend":
        ids.write_bytes(good + b"more")
    elif damage == "facts":
        facts.write_bytes(facts.read_bytes()[:20])
    elif damage == "foreign":
        facts.write_text("[1, 2]")
    else:
        ids.unlink()
    assert mapped(corpus_file, cache).ids.tobytes() == good == ids.read_bytes()
    assert json.loads(facts.read_text())["sha256"] == hashlib.sha256(good).hexdigest()


KILLED = """
import sys, time
from pathlib import Path
from unrolled.text.corpus import open_corpus
from unrolled.text.encoded import encode_corpus

def slowly(stage, done, total):
    if stage == "encoding":
        print(done, flush=True)
        time.sleep(0.05)

encode_corpus(open_corpus([sys.argv[1]]), in_memory_bytes=0, cache=Path(sys.argv[2]), progress=slowly)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills otherwise")
def test_a_killed_encoding_leaves_no_whole_file_and_is_gone_on_with(tmp_path: Path) -> None:
    path, cache = tmp_path / "book.txt", tmp_path / "cache"
    path.write_text(TEXT * 10, encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-c", KILLED, path, cache], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(8):
        process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    assert not list(cache.glob("*.json"))
    part = cached(cache, ".ids").read_bytes()
    encoded = mapped(path, cache)
    assert encoded.vocabulary.decode(encoded.ids) == TEXT * 10
    assert 0 < len(part) < encoded.ids.nbytes
    assert encoded.ids.tobytes().startswith(part)


def test_what_is_written_already_is_not_written_again(corpus_file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    mapped(corpus_file, cache)
    ids = cached(cache, ".ids")
    cached(cache, ".json").unlink()
    os.utime(ids, (1, 1))
    mapped(corpus_file, cache)
    assert ids.stat().st_mtime == 1


def test_two_processes_may_encode_the_same_text_at_once(tmp_path: Path) -> None:
    path, cache = tmp_path / "book.txt", tmp_path / "cache"
    path.write_text(TEXT * 4, encoding="utf-8")
    arguments = [sys.executable, "-c", KILLED, str(path), str(cache)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as first:
        time.sleep(0.2)
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as second:
            pass
    assert (first.returncode, second.returncode) == (0, 0)
    encoded = mapped(path, cache)
    assert encoded.vocabulary.decode(encoded.ids) == TEXT * 4


def test_a_cache_that_cannot_be_written_is_explained(corpus_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(FolderError, match=r"cannot be written to .*UNROLLED_CACHE"):
        mapped(corpus_file, tmp_path / "cache")


def test_a_full_disk_is_explained_and_nothing_counts_as_whole(corpus_file: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="this system has no limits on the size of a file")
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))\n"
    cache = tmp_path / "cache"
    arguments = [sys.executable, "-c", limited + KILLED, f"{corpus_file}", f"{cache}"]
    failed = subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert "FolderError: the ids of the text cannot be written to" in failed.stderr.splitlines()[-1]
    assert "File too large" in failed.stderr
    assert not list(cache.glob("*.json"))
    assert 0 < cached(cache, ".ids").stat().st_size <= 100_000
    encoded = mapped(corpus_file, cache)
    assert encoded.vocabulary.decode(encoded.ids) == TEXT


def test_a_given_vocabulary_names_the_character_it_lacks_and_its_place(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text("plain line\n" * 40_000 + "pla\tin", encoding="utf-8")
    vocabulary = Vocabulary.of("plain line\n")
    with pytest.raises(InputError, match=r"U\+0009\) at position 440,003, line 40,001, is not in"):
        encode_corpus(open_corpus([path]), vocabulary)
    with pytest.raises(InputError, match="at position 440,003"):
        mapped(path, tmp_path / "cache", vocabulary=vocabulary)
    assert len(encode_corpus(open_corpus([path]), vocabulary, unknown="skip")) == 440_005
    assert encode_corpus(open_corpus([path]), vocabulary, unknown="replace").ids[440_003] == UNKNOWN


@pytest.mark.parametrize("in_memory_bytes", [0, 1000])
def test_nothing_is_left_of_a_text_of_unknown_characters(tmp_path: Path, in_memory_bytes: int) -> None:
    with pytest.raises(InputError, match="no character of the text is in the vocabulary"):
        encode_corpus(
            text_corpus("abc"),
            Vocabulary.of("xyz"),
            unknown="skip",
            cache=tmp_path,
            in_memory_bytes=in_memory_bytes,
        )


@pytest.mark.parametrize(("text", "reason"), [("", "it has no text"), ("a" * 500, "'a' 500 times over")])
def test_texts_from_which_nothing_can_be_learned(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        encode_corpus(text_corpus(text))


def test_one_character_over_and_over_can_be_scored_by_a_vocabulary_that_knows_it() -> None:
    assert encode_corpus(text_corpus("aaa"), Vocabulary.of("ab")).ids.tolist() == [1, 1, 1]


@pytest.mark.parametrize("more", ["longer", "", "\u4e01"])
@pytest.mark.parametrize("in_memory_bytes", [0, 1 << 30])
def test_a_text_that_changes_while_it_is_read_is_refused(
    corpus_file: Path, tmp_path: Path, more: str, in_memory_bytes: int
) -> None:
    def meddle(stage: str, done: int, total: int) -> None:
        if stage == "counting" and done == total:
            corpus_file.write_text((TEXT + more) if more else TEXT[:-10], encoding="utf-8")

    with pytest.raises(InputError, match="changed while it was read"):
        encode_corpus(
            open_corpus([corpus_file]), cache=tmp_path / "cache", progress=meddle, in_memory_bytes=in_memory_bytes
        )


def test_progress_is_told_for_both_passes(corpus_file: Path) -> None:
    told = list[tuple[str, int, int]]()
    encode_corpus(open_corpus([corpus_file]), progress=lambda *what: told.append(what))
    total = corpus_file.stat().st_size
    assert [what for what in told if what[1] == total] == [("counting", total, total), ("encoding", total, total)]
    assert all(0 < done <= total for _, done, _ in told)


# The peak of this process alone: that of getrusage begins with the peak of the process that started it.
PEAK = """
import re, sys
from pathlib import Path
from unrolled.text.corpus import open_corpus
from unrolled.text.report.doctor import examine
from unrolled.text.encoded import encode_corpus

examine(encode_corpus(open_corpus([sys.argv[1]]), in_memory_bytes=0, cache=Path(sys.argv[2])))
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured through /proc")
def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    """A short form of benchmarks/encode.py: 2 and 40 million characters."""
    peaks = []
    for megabytes in (2, 40):
        path = tmp_path / f"{megabytes}.txt"
        path.write_bytes(b"An ordinary line.\r\n" * (megabytes * 10**6 // 19))
        output = subprocess.run(
            [sys.executable, "-c", PEAK, path, tmp_path / "cache"], capture_output=True, check=True, text=True
        )
        peaks.append(int(output.stdout) / 1024)
    # The mapped ids count as memory of the process until they are released.
    assert peaks[0] > 20
    assert peaks[1] < peaks[0] + 20


def test_an_unknown_character_is_told_even_where_the_ids_with_it_replaced_are_in_the_cache(tmp_path: Path) -> None:
    corpus, known = text_corpus("abcXabc" * 10), Vocabulary.of("abc")
    options: dict[str, Any] = {"cache": tmp_path, "in_memory_bytes": 0}
    replaced = encode_corpus(corpus, known, unknown="replace", **options)
    assert replaced.ids[3] == UNKNOWN
    with pytest.raises(InputError, match=r"'X'.* at position 3"):
        encode_corpus(corpus, known, unknown="error", **options)


def test_half_of_a_surrogate_pair_is_refused_with_progress_too() -> None:
    with pytest.raises(InputError, match="a lone surrogate"):
        encode_corpus(text_corpus("ab\ud800"), progress=lambda stage, done, total: None)

"""Corpora from every place a text can lie in, and a sentence for every one it cannot be read from."""

import bz2
import gzip
import io
import os
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import shared_data
from unrolled.errors import InputError
from unrolled.text.corpus import Corpus, open_corpus, text_corpus
from unrolled.text.encoding import OnDamage
from unrolled.text.sources import BLOCK_BYTES, TextSource


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(*sources: str | Path, encoding: str = "utf-8") -> str:
    with pytest.raises(InputError) as caught:
        open_corpus(sources, encoding=encoding).read()
    return str(caught.value)


def pipe_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_nietzsche() -> None:
    text = open_corpus([shared_data("nietzsche.txt")]).read()
    assert len(text) == 600_893
    assert len(set(text)) == 84


def test_a_chinese_novel_with_the_newlines_of_dos() -> None:
    path = shared_data("hongloumeng_zh.txt")
    with open(path, encoding="utf-8") as oracle:
        assert open_corpus([path]).read() == oracle.read()
    assert b"\r\n" in path.read_bytes()


def test_a_text_larger_than_a_block_comes_in_pieces_and_again(tmp_path: Path) -> None:
    text = "中é\r\na" * BLOCK_BYTES
    corpus = open_corpus([write(tmp_path / "a.txt", text)])
    pieces = list(corpus.pieces())
    assert len(pieces) > 3
    assert all(pieces)
    assert "".join(pieces) == text.replace("\r\n", "\n") == "".join(corpus.pieces())


def test_a_folder_is_read_in_the_order_of_names_with_everything_below(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/b/c", "a.txt", ".hidden", ".git/config", "B.txt"):
        write(tmp_path / name, f"{name}\n")
    write(tmp_path / "picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    write(tmp_path / "c.txt.gz", gzip.compress(b"packed\n"))
    assert open_corpus([tmp_path]).read() == "B.txt\na/b/c\na/z.md\na.txt\nb.txt\npacked\n"


def test_texts_are_parted_by_a_newline_only_where_one_lacks(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path / name, text) for name, text in (("a", "one"), ("b", "two\r\n"), ("c", "three")))
    empty = write(tmp_path / "empty", "")
    assert open_corpus([a, empty, b, c]).read() == "one\ntwo\nthree"


def test_gzip_is_known_by_its_bytes(tmp_path: Path) -> None:
    packed = write(tmp_path / "a.dat", gzip.compress(b"\xef\xbb\xbfone\r\n") + gzip.compress(b"two"))
    plain = write(tmp_path / "b.gz", "three")
    assert open_corpus([packed, plain]).read() == "one\ntwo\nthree"


@pytest.mark.parametrize("cut", [3, 40, -1, -9])
def test_a_damaged_gzip_file(tmp_path: Path, cut: int) -> None:
    data = gzip.compress(os.urandom(50).hex().encode())
    assert "a.gz is a damaged gzip file" in refusal(write(tmp_path / "a.gz", data[:cut]))
    assert "a.gz is a damaged gzip file" in refusal(write(tmp_path / "a.gz", data[:30] + b"\xff\xff\xff" + data[33:]))


def test_standard_input_can_be_read_and_opened_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, "caf\u00e9\r\n".encode())
    corpus = open_corpus(["-"])
    assert corpus.read() == corpus.read() == open_corpus(["-"]).read() == "café\n"


def test_the_copy_of_standard_input_goes_with_the_process(tmp_path: Path) -> None:
    code = "from unrolled.text.corpus import open_corpus; print(open_corpus(['-']).sources[0].path.exists())"
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"text", stdout=subprocess.PIPE, check=True,
        env=os.environ | {"TMPDIR": f"{tmp_path}"},
    )  # fmt: skip
    assert done.stdout.split() == [b"True"]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_can_be_read_twice(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"through a pipe",))
    writer.start()
    corpus = open_corpus([pipe])
    writer.join()
    assert corpus.read() == corpus.read() == "through a pipe"


def test_nothing_was_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    assert "nothing was piped into it" in refusal("-")


def test_standard_input_twice() -> None:
    assert "duplicate '-'" in refusal("-", "-")


def test_another_encoding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "Größe\r\n".encode("cp1252"))
    assert open_corpus([path], encoding="windows-1252").read() == "Größe\n"
    assert "a.txt is not UTF-8: byte 0xf6 at offset 2, on line 1" in refusal(path)
    assert "It looks like cp1252" in refusal(path)


def test_the_encoding_asked_for_does_not_touch_named_texts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "Größe".encode("utf-16"))
    docs = open_corpus(["python-docs"]).read()
    assert open_corpus(["python-docs", path], encoding="utf-16").read() == docs + "Größe"


def test_utf16_is_refused_by_its_name_with_and_without_mark(tmp_path: Path) -> None:
    text = "An ordinary text in a wide encoding.\n" * 9
    assert "read it with --encoding utf-16," in refusal(write(tmp_path / "a.txt", text.encode("utf-16")))
    assert "read it with --encoding utf-16-le" in refusal(write(tmp_path / "a.txt", text.encode("utf-16-le")))


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"abc\0def", "byte 0x00 at offset 3"), (bz2.compress(b"text" * 99), "binary"), (b"\1\2\3" * 9, "control")],
)
def test_a_binary_file(tmp_path: Path, data: bytes, reason: str) -> None:
    message = refusal(write(tmp_path / "photo", data))
    assert "photo is a binary file, not a text" in message
    assert reason in message


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_text(tmp_path: Path, data: bytes) -> None:
    assert "a.txt is empty: it has no text" in refusal(write(tmp_path / "a.txt", data))


def test_a_missing_file(tmp_path: Path) -> None:
    assert "book.txt does not exist" in refusal(tmp_path / "book.txt")
    assert "does not exist" in refusal(write(tmp_path / "a", "text") / "b")
    assert "did you mean the data set 'nietzsche'" in refusal("nietzche")
    assert "cannot be read" in refusal("a\0b")
    assert "cannot be read" in refusal("a" * 5000)


def test_a_folder_without_texts_says_what_counts_as_one(tmp_path: Path) -> None:
    assert "it holds no files (in a folder" in refusal(tmp_path)
    write(tmp_path / "a.bin", b"\0\0")
    write(tmp_path / ".hidden", "text")
    assert "none of its 1 files is a text (in a folder and the folders below it, every file counts" in refusal(tmp_path)


def test_no_source_at_all() -> None:
    assert "no text was given" in refusal()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_a_device_is_refused_and_not_read_for_ever() -> None:
    assert "neither a file nor a folder" in refusal("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file_and_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "folder" / "a.txt", "text")
    path.chmod(0)
    assert "a.txt cannot be read: Permission denied" in refusal(path)
    path.parent.chmod(0)
    assert "folder cannot be read: Permission denied" in refusal(path.parent)
    path.parent.chmod(0o700)


def test_a_path_object_is_never_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("python-docs"), "a file of that name")
    assert open_corpus([Path("python-docs")]).read() == open_corpus(["./python-docs"]).read() == "a file of that name"
    assert "assert" in open_corpus(["python-docs"]).read()


def test_a_corpus_is_called_by_its_first_text(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.txt", "text") for n in range(3)]
    assert open_corpus(paths[:1]).name == f"{paths[0]}"
    assert open_corpus(paths).name == f"{paths[0]} and 2 more"


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.txt", "text" * BLOCK_BYTES)
    packed = write(tmp_path / "b.gz", gzip.compress(os.urandom(BLOCK_BYTES).hex().encode()))
    corpus, seen = open_corpus([plain, packed]), list[int]()
    assert sum(map(len, corpus.pieces(seen.append))) > 0
    assert min(seen) >= 0
    assert sum(seen) == corpus.bytes_total == plain.stat().st_size + packed.stat().st_size


@given(st.text(), st.integers(0, 20))
def test_lower_case_does_not_depend_on_where_a_piece_ends(text: str, cut: int) -> None:
    text = "ΟΔΟΣ İ " + text
    halves = [
        lowered for half in (text[:cut], text[cut:]) if half for lowered in [text_corpus(half, lower=True).read()]
    ]
    assert "".join(halves) == text_corpus(text, lower=True).read()


def test_lower_case_is_that_of_python_but_for_the_final_sigma() -> None:
    assert text_corpus("Größe ΟΔΟΣ Σ", lower=True).read() == "größe οδοσ σ"


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InputError, match=r"a lone surrogate \(U\+DCE9\) at position 3"):
        text_corpus("caf\udce9").read()


def test_a_file_that_vanishes_is_explained(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "text")
    corpus: Corpus = open_corpus([path])
    path.unlink()
    with pytest.raises(InputError, match=r"a\.txt cannot be read: No such file"):
        corpus.read()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_missing_byte_order_mark_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("a man".encode(f"{encoding}-be"))
    with pytest.raises(InputError, match=f"--encoding {encoding}-le or {encoding}-be"):
        open_corpus([path], encoding=encoding).read()
    assert open_corpus([path], encoding=f"{encoding}-be").read() == "a man"


@pytest.mark.parametrize(("errors", "expected"), [("replace", "caf\ufffd, \ufffd!\n"), ("skip", "caf, !\n")])
def test_damaged_bytes_are_replaced_or_left_out(tmp_path: Path, errors: OnDamage, expected: str) -> None:
    path = write(tmp_path / "damaged.txt", b"caf\xe9, \xff!\n")
    assert open_corpus([path], errors=errors).read() == expected


class Crumbs(TextSource):
    """The same text, read in blocks of three bytes."""

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        data = self.text.encode()
        return ((data[i : i + 3], i) for i in range(0, len(data), 3))


@given(st.text("ae\u0301\u0323\u00e9\n가\u1100\u1161", min_size=1))
def test_composed_characters_do_not_depend_on_the_blocks(text: str) -> None:
    read = Corpus((Crumbs("the text", text),), normalize=True).read()
    assert read == unicodedata.normalize("NFC", text)


def test_small_files_come_in_one_piece_and_in_the_order_of_their_paths(tmp_path):
    for name in ("b/2.txt", "a.txt", "b/10.txt", "b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert list(open_corpus([tmp_path]).pieces()) == ["a.txt\nb/10.txt\nb/2.txt\nb.txt"]

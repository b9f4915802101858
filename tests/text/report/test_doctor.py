"""The corpus doctor against plain Python, and its sentences on texts that are ill on purpose."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import shared_data
from unrolled.text.corpus import open_corpus, text_corpus
from unrolled.text.datasets import python_docs
from unrolled.text.encoded import encode_corpus
from unrolled.text.records import record_corpus
from unrolled.text.report.doctor import RARE, CorpusReport, drift_bits, examine
from unrolled.text.report.order import line_order
from unrolled.text.report.repeated_lines import LONG_LINE, RepeatedLines
from unrolled.text.vocabulary import Vocabulary

PROSE = "".join(f"This is line {n} of an ordinary text that does not repeat itself.\n" for n in range(2000))


def examined(text: str, min_count: int = 1) -> CorpusReport:
    return examine(encode_corpus(text_corpus(text), min_count=min_count))


def repeated(text: str) -> int:
    lines = [line for line in text.split("\n") if len(line) >= LONG_LINE]
    return len(lines) - len(set(lines))


@pytest.mark.parametrize("name", ["nietzsche.txt", "tinyshakespeare.txt", "hongloumeng_zh.txt"])
def test_real_texts_against_plain_python(name: str) -> None:
    corpus = open_corpus([shared_data(name)])
    text, report = corpus.read(), examine(encode_corpus(corpus))
    counts, cut = Counter(text), len(text) - len(text) // 10
    rare = [count for count in counts.values() if count < RARE]
    assert (report.characters, report.symbols, report.unknown_characters) == (len(text), len(counts), 0)
    assert (report.rare_symbols, report.rare_characters) == (len(rare), sum(rare))
    assert (report.lines, report.repeated_lines) == (len(text.splitlines()), repeated(text))
    assert report.new_symbols == len(set(text[cut:]) - set(text[:cut]))
    assert report.drift_bits < 0.2
    assert report.order is not None
    assert report.order.records is None
    assert any("The last tenth has the same distribution" in sentence for sentence in report.sentences())


def shuffled(lines: list[str]) -> str:
    order = np.random.default_rng(0).permutation(len(lines))
    return "".join(lines[i] + "\n" for i in order)


SYLLABLES = ["an", "be", "cla", "do", "em", "fi", "ga", "ho", "is", "jo", "ka", "lu"]
WORDS = [one + two + three for one in SYLLABLES for two in SYLLABLES for three in SYLLABLES[:4]]
RANDOM = np.random.default_rng(1)
BASES = "".join(RANDOM.choice(list("ACGT"), 60_000))
FASTA = "".join(
    f">gene {i}\n" + "".join(BASES[k : k + 60] + "\n" for k in range(i * 600, i * 600 + 540, 60)) for i in range(100)
)
ABC = "\n".join(
    f"X:{i}\nT:Tune {i}\nK:D\n" + "|".join(RANDOM.choice(["ABcd", "efga", "d2 f"], 16)) + "\n" for i in range(90)
)
VISITS = [
    f'10.0.0.{i * 4 % 9} - - [12/Oct:10:{i // 60 % 60:02}:{i % 60:02}] "GET /{WORDS[i % 7]}" 200 {i * 37 % 5000}'
    for i in range(900)
]


@pytest.mark.parametrize(
    ("text", "records", "is_sorted"),
    [
        (shuffled(WORDS), "lines", False),
        ("".join(word + "\n" for word in sorted(WORDS)), "lines", True),
        (shuffled([f"{i},{word},{i * 7 % 100}" for i, word in enumerate(WORDS)]), "lines", False),
        ("".join(line + "\n" for line in VISITS), "lines", False),
        (FASTA, ">", False),
        (ABC, "\n\n", False),
    ],
)
def test_lines_whose_order_tells_nothing_are_records(text: str, records: str, is_sorted: bool) -> None:
    report = examined(text)
    assert report.order is not None
    assert (report.order.records, report.order.is_sorted) == (records, is_sorted)
    assert f"--records {records!r}".replace("'lines'", "lines") in report.sentences()[1]
    assert any("in sorted order" in sentence for sentence in report.sentences()) == is_sorted


def test_a_text_read_as_records_is_not_asked_for_them_again() -> None:
    report = examine(encode_corpus(record_corpus(text_corpus(FASTA), ">")))
    assert report.order is None
    assert "--records" not in " ".join(report.sentences())


def test_records_are_counted_as_such_and_have_no_end_of_the_text() -> None:
    records = ["a" * LONG_LINE, "short", "b" * LONG_LINE, "a" * LONG_LINE]
    report = examine(encode_corpus(record_corpus(text_corpus("--".join(records)), "--")))
    assert (report.lines, report.symbols, report.repeated_lines) == (4, len(set("".join(records))), 1)
    assert report.sentences()[0].endswith("4 records.")
    assert report.sentences()[-1] == f"1 of 3 records of {LONG_LINE} characters or more (33 %) repeat an earlier one."


@pytest.mark.parametrize("name", ["names.txt", "logs/BGL_2k.log", "logs/OpenSSH_2k.log", "logs/Thunderbird_2k.log"])
def test_real_lists_and_logs_are_records(name: str) -> None:
    order = line_order(encode_corpus(open_corpus([shared_data(name)])))
    assert order is not None
    assert order.records == "lines"


def test_prose_and_verse_are_read_in_their_order() -> None:
    play = open_corpus([shared_data("tinyshakespeare.txt")]).read()
    verse = [line for line in play.split("\n") if line and not line.endswith(":")]
    paragraphs = open_corpus([shared_data("nietzsche.txt")]).read().replace("\n\n", "\f").replace("\n", " ")
    for text in (
        play[:20_000],
        "\n".join(verse),
        "\n".join(verse[:500]),
        paragraphs.replace("\f", "\n"),
        python_docs(),
    ):
        order = line_order(encode_corpus(text_corpus(text)))
        assert order is not None
        assert order.records is None


def message(i: int) -> str:
    """One that has nothing to do with the one before."""
    words = np.random.default_rng(i).choice(WORDS, 60)
    lines = [" ".join(words[k : k + 10]) for k in range(0, 60, 10)]
    return f"From: {words[0]}@example.org\nSubject: {words[1]} {words[2]}\n\n" + "\n".join(lines) + "\n"


def examined_files(folder: Path, texts: list[str], **changes: object) -> CorpusReport:
    for i, text in enumerate(texts):
        (folder / f"{i:03d}.txt").write_text(text)
    return examine(encode_corpus(replace(open_corpus([folder]), **changes)))


def test_many_short_files_are_records_unless_one_goes_on_in_the_next(tmp_path: Path) -> None:
    report = examined_files(tmp_path, [message(i) for i in range(300)] + [""])
    assert report.files is not None
    assert report.files.are_records
    assert "train with --records files" in " ".join(report.sentences()).lower()
    play = open_corpus([shared_data("tinyshakespeare.txt")]).read()[:300_000].splitlines(keepends=True)
    report = examined_files(tmp_path, ["".join(play[i : i + 20]) for i in range(0, len(play), 20)])
    assert report.files is not None
    assert report.files.gain is not None
    assert report.files.gain > 3 * report.files.error
    assert "--records files" not in " ".join(report.sentences())
    assert "--hold-out files" in " ".join(report.sentences())
    assert examined_files(tmp_path, [], held_out=(5, 0)).files is None


LINES = st.lists(st.sampled_from(["", "a", "ab" * 10, "ba" * 10, "ab" * 20, "a" * 25, "b" * 25]), min_size=2)


@given(LINES, st.lists(st.integers(0, 400)))
def test_repeated_lines_are_counted_whatever_the_blocks(lines: list[str], cuts: list[int]) -> None:
    text = "\n".join(["ab", *lines])
    vocabulary = Vocabulary.of(text)
    counter = RepeatedLines(len(vocabulary), vocabulary.characters.index("\n") + 1)
    ids = vocabulary.encode(text)
    for block in np.split(ids, sorted(min(cut, len(ids)) for cut in cuts)):
        counter.add(block)
    counter.end()
    assert counter.repeated() == repeated(text)
    assert counter.lines == len(text.removesuffix("\n").split("\n"))


@given(st.permutations("abcdefghijklmnopqrstuvwxyz"))
def test_lines_of_the_same_characters_in_another_order_are_not_the_same(letters: list[str]) -> None:
    line = "abcdefghijklmnopqrstuvwxyz"
    other = "".join(letters)
    assert examined(f"{line}\n{other}\n").repeated_lines == (line == other)


def test_a_sample_of_many_lines_gives_nearly_the_share() -> None:
    lines = [f"{n:030d}\n" for n in range(20_000)]
    text = "".join(lines + lines[:5000])
    assert in_a_sample(text, 16_000) == pytest.approx(5000, abs=400)  # hashes are fixed: this is no matter of luck
    assert in_a_sample("".join(lines), 16_000) == 0


def test_one_line_over_and_over_takes_no_room_in_the_sample() -> None:
    lines = [f"{n:030d}\n" for n in range(1000)]
    assert in_a_sample("x" * 25 + "\n" + "".join(lines), 400) == 0
    assert in_a_sample(("x" * 25 + "\n") * 10_000 + "".join(lines), 400) == pytest.approx(9999, abs=60)


def in_a_sample(text: str, max_kept: int) -> int:
    vocabulary = Vocabulary.of(text)
    counter = RepeatedLines(len(vocabulary), vocabulary.characters.index("\n") + 1, max_kept=max_kept)
    for block in np.array_split(vocabulary.encode(text), 50):
        counter.add(block)
    counter.end()
    return counter.repeated()


def test_a_text_without_newlines_is_one_line() -> None:
    report = examined("ACGT" * 200_000)
    assert (report.lines, report.long_lines, report.repeated_lines) == (1, 1, 0)


def test_copies_are_warned_of() -> None:
    assert "copies in the validation part" in " ".join(examined(PROSE + PROSE).sentences())
    assert "repeat" not in " ".join(examined(PROSE).sentences())


def test_an_end_of_another_kind_is_warned_of() -> None:
    end = len(PROSE) // 9
    assert "The last tenth differs from the rest" in " ".join(examined(PROSE + PROSE[:end].upper()).sentences())
    assert "The last tenth has the same distribution" in " ".join(examined(PROSE).sentences())
    assert "5 symbols only in the last tenth" in " ".join(examined(PROSE + "äöüß€").sentences())


def test_rare_symbols_are_counted_and_merging_them_is_reported() -> None:
    exotic = "".join(chr(0x4E00 + n) for n in range(30))
    text = exotic + PROSE
    assert f"30 symbols seen fewer than {RARE} times" in " ".join(examined(text).sentences())
    assert f"--min-count {RARE} would" in " ".join(examined(text).sentences())
    merged = examined(text, min_count=2)
    assert (merged.merged_symbols, merged.unknown_characters, merged.symbols) == (30, 30, len(set(PROSE)))
    share = 100 * 30 / len(text)
    assert f"30 symbols too rare for --min-count became the unknown character: {share:.2g} % of" in " ".join(
        merged.sentences()
    )


def test_a_given_vocabulary_may_lack_characters() -> None:
    vocabulary = Vocabulary.of("abc\n")
    report = examine(encode_corpus(text_corpus("abcd\nabc\n"), vocabulary, unknown="replace"))
    assert report.unknown_characters == 1
    assert "1 character (11 %) are unknown to the vocabulary." in report.sentences()


def test_drift_is_a_divergence() -> None:
    same = np.array([0, 1000, 3000])
    assert drift_bits(same, same // 10)[0] == pytest.approx(0, abs=1e-6)
    # Coding fair coins with the frequencies 1/4 and 3/4 costs log2(4/3)/2 + log2(4/1)/2 - 1 bits more.
    assert drift_bits(same * 10**6, np.array([0, 500, 500]))[0] == pytest.approx(0.2075187, abs=1e-5)
    assert drift_bits(same, np.array([0, 0, 0])) == (0.0, 0.0)


@given(st.integers(2, 400), st.integers(0, 1 << 32))
def test_chance_alone_gives_about_the_noise_that_is_reported(symbols: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    draws = generator.integers(symbols, size=(2, 90_000))
    first, last = np.bincount(draws[0], minlength=symbols), np.bincount(draws[1][:10_000], minlength=symbols)
    drift, noise = drift_bits(first, last)
    # Twice the noise's number of nats is near a chi-squared variable; 60 more than five times its mean: under 1e-12.
    assert drift < 5 * noise + 60 / 10_000


def test_a_last_tenth_of_a_few_characters_is_not_compared() -> None:
    assert "too short to be compared" in " ".join(examined("the cat sat on the mat").sentences())


def test_all_of_a_text_is_a_hundred_percent() -> None:
    vocabulary = Vocabulary.of("x")
    report = examine(encode_corpus(text_corpus("y" * 500 + "x"), vocabulary, unknown="replace"))
    assert "500 characters (100 %) are unknown to the vocabulary." in report.sentences()


def test_a_mapped_text_is_examined_alike(tmp_path: Path) -> None:
    encoded = encode_corpus(text_corpus(PROSE * 5), in_memory_bytes=0, cache=tmp_path)
    assert not encoded.ids.flags.writeable, "mapped from a file"
    assert examine(encoded) == examined(PROSE * 5)


@pytest.mark.parametrize("text", ["ab", "a\n", "\n\nb", "ab" * 3])
def test_tiny_texts_are_examined_too(text: str) -> None:
    report = examined(text)
    assert report.to_json()["characters"] == len(text)
    assert all(sentence.endswith(".") for sentence in report.to_json()["sentences"])

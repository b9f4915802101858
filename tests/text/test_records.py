"""Records: read between boundaries, split by hash, put into batches with little padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.text.corpus import Corpus, open_corpus, text_corpus
from unrolled.text.records import (
    RecordCorpus,
    Records,
    batches,
    cut_text,
    label_counts,
    record_corpus,
    record_hash,
)
from unrolled.text.sources import TextSource
from unrolled.text.vocabulary import BOUNDARY, LABEL_END, Vocabulary


def records_of(*texts):
    text = BOUNDARY + "".join(each + BOUNDARY for each in texts)
    vocabulary = Vocabulary.of(text)
    return Records.of(vocabulary.encode(text), vocabulary.boundary), vocabulary


def written(records, vocabulary):
    spans = zip(records.starts, records.lengths, strict=True)
    return [vocabulary.decode(records.ids[start : start + length]) for start, length in spans]


@pytest.mark.parametrize(
    ("records", "text", "expected"),
    [
        ("lines", "emma\nolivia\n\n\nava", ["emma", "olivia", "ava"]),
        ("lines", "\nemma\r\nava\n", ["emma", "ava"]),
        ("%%", "a%b%%c\nd%%%%e%", ["a%b", "c\nd", "e%"]),
        ("aab", "aaabxaab", ["a", "x"]),
    ],
)
def test_each_record_stands_between_two_boundaries(records, text, expected):
    read = record_corpus(text_corpus(text), records).read()
    assert read == BOUNDARY + "".join(each + BOUNDARY for each in expected)


class Crumbs(RecordCorpus):
    """The same corpus, read one character at a time."""

    def _plain(self, on_read):
        return (character for piece in super()._plain(on_read) for character in piece)


@given(st.text("ab-\n", min_size=1), st.sampled_from(["\n", "--", "-a-", "abab"]))
def test_the_pieces_of_a_text_have_no_meaning(text, separator):
    if not text.replace(separator, ""):
        return
    whole = RecordCorpus((TextSource("the text", text),), separator=separator)
    assert "".join(Crumbs(whole.sources, separator=separator).pieces()) == whole.read()
    expected = [each for each in text.replace("\r\n", "\n").split(separator) if each]
    assert [each for each in whole.read().split(BOUNDARY) if each] == expected


def test_each_file_is_a_record(tmp_path):
    for name, text in (("a.txt", "one\ntwo"), ("b.txt", ""), ("c.txt", "three\n")):
        (tmp_path / name).write_text(text)
    files = open_corpus([tmp_path / "a.txt", tmp_path / "c.txt"])
    assert record_corpus(files, "files").read() == f"{BOUNDARY}one\ntwo{BOUNDARY}three\n{BOUNDARY}"


def test_a_text_with_the_boundary_is_refused():
    with pytest.raises(InputError, match=r"U\+FDD0"):
        record_corpus(text_corpus(f"a{BOUNDARY}b"), "lines").read()


@pytest.mark.parametrize(("text", "name"), [(BOUNDARY, "FDD0"), (LABEL_END, "FDD1")])
def test_reserved_characters_are_refused_in_tables_too(tmp_path, text, name):
    path = tmp_path / "odd.csv"
    path.write_text(f"name\na{text}b\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"U\+{name}"):
        record_corpus(open_corpus([path]), "name").read()


def labelled(*pairs):
    return BOUNDARY + "".join(f"{label}{LABEL_END}{text}{BOUNDARY}" for label, text in pairs)


def test_a_label_stands_before_the_first_tab():
    read = record_corpus(text_corpus("b\tben\ttwo\na\t\n\na\tanna\n"), "lines", "tab").read()
    assert read == labelled(("b", "ben\ttwo"), ("a", "anna"))
    vocabulary = Vocabulary.of(read)
    assert label_counts(vocabulary.encode(read), vocabulary) == {"b": 1, "a": 1}
    for text, sentence in (("a\tb\nno tab", "record 2 of the text has no label"), ("\tb", "record 1 of the text")):
        with pytest.raises(InputError, match=sentence):
            record_corpus(text_corpus(text), "lines", "tab").read()


ROWS = [("jazz", 'a "blue", long\nnote'), ("pop", "b"), ("pop", None), ("jazz", "c")]


def tables(folder):
    """The same rows as CSV with quoted newlines, with semicolons, as JSON lines, packed, and as Parquet."""
    import gzip

    import pandas

    frame = pandas.DataFrame(ROWS, columns=["Kind", "Title"]).assign(more=1)
    frame.to_csv(folder / "comma.csv", index=False)
    frame.to_csv(folder / "semicolon.csv", index=False, sep=";")
    frame.to_json(folder / "lines.jsonl", orient="records", lines=True)
    frame.to_parquet(folder / "rows.parquet")
    (folder / "packed.csv.gz").write_bytes(gzip.compress((folder / "comma.csv").read_bytes()))
    return sorted(folder.iterdir())


def test_records_and_labels_are_columns_of_tables(tmp_path):
    for path in tables(tmp_path):
        corpus = open_corpus([path], tables=True)
        assert record_corpus(corpus, "Title", "Kind").read() == labelled(*(row for row in ROWS if row[1])), path
        assert record_corpus(corpus, "Title").read().count(BOUNDARY) == 4
        for column in (("Titel", "Kind"), ("Title", "kind")):
            with pytest.raises(InputError, match=r"unknown column .* did you mean"):
                record_corpus(corpus, *column).read()


def test_what_is_no_table_is_explained(tmp_path):
    table, text = tmp_path / "a.jsonl", tmp_path / "b.txt"
    table.write_text('{"a": 1}\n[1]\n')
    text.write_text("x")
    with pytest.raises(InputError, match=r"line 2, is not a JSON object"):
        record_corpus(open_corpus([table]), "a").read()
    with pytest.raises(InputError, match="files of one kind"):
        record_corpus(open_corpus([table, text]), "a")
    with pytest.raises(InputError, match="is not a table"):
        record_corpus(open_corpus([text]), "lines", "Kind")


def test_a_single_record_is_explained():
    corpus = record_corpus(text_corpus("one line and no more"), "%%")
    vocabulary = Vocabulary.of(corpus.pieces())
    with pytest.raises(InputError, match="the separator never occurs"):
        Records.of(vocabulary.encode(corpus.read()), vocabulary.boundary)


def test_a_text_of_empty_records_is_explained():
    for label in (None, "tab"):
        with pytest.raises(InputError, match="has no record"):
            record_corpus(text_corpus("\n\n\n"), "lines", label).read()


def test_an_ordinary_corpus_is_not_changed():
    assert Corpus((TextSource("the text", "a\nb"),)).read() == "a\nb"
    assert Vocabulary.of("a\nb").boundary is None


@given(st.lists(st.text("abc", min_size=1, max_size=6), min_size=2, max_size=30))
def test_equal_records_have_equal_hashes_and_others_do_not(texts):
    records, vocabulary = records_of(*texts)
    by_hash = {}
    for text, value in zip(texts, records.hashes().tolist(), strict=True):
        assert by_hash.setdefault(value, text) == text
        assert record_hash(vocabulary.encode(text + BOUNDARY)) == value
    assert len(by_hash) == len(set(texts))


def test_hashes_do_not_depend_on_the_block(monkeypatch):
    records, _ = records_of(*(f"record {i}" for i in range(100)))
    whole = records.hashes()
    monkeypatch.setattr("unrolled.text.records.BLOCK", 7)
    assert np.array_equal(records.hashes(), whole)
    assert np.array_equal(records.taken(np.arange(100)[::-1]), records.ids[1:][_reversed_places(records)])


def _reversed_places(records):
    spans = list(zip(records.starts - 1, records.predictions, strict=True))
    return np.concatenate([np.arange(start, start + length) for start, length in spans[::-1]])


def test_equal_records_are_never_in_two_parts():
    texts = [f"name {i % 300}" for i in range(3000)]
    records, vocabulary = records_of(*texts)
    ids, parts = cut_text(records.ids, vocabulary.boundary, 0.2, 0.1, 0.1)
    assert len(ids) == len(records.ids)
    held = (parts.train, parts.mixing, parts.validation, parts.test)
    train, mixing, validation, test = (set(vocabulary.decode(part).strip(BOUNDARY).split(BOUNDARY)) for part in held)
    assert train | mixing | validation | test == set(texts)
    assert len(train) + len(mixing) + len(validation) + len(test) == 300
    assert 5 < len(mixing) < 40
    assert 0.1 < len(validation) / 300 < 0.3
    assert sorted(vocabulary.decode(ids).split(BOUNDARY)) == sorted(vocabulary.decode(records.ids).split(BOUNDARY))


def test_equal_records_with_other_labels_are_never_in_two_parts():
    records, vocabulary = records_of(*(f"{label}{LABEL_END}name {i}" for i in range(200) for label in ("a", "bcd")))
    _, parts = cut_text(records.ids, vocabulary.boundary, 0.3, 0.1, 0.1, vocabulary.label_end)
    held = (parts.train, parts.mixing, parts.validation, parts.test)
    names = [
        {record.split(LABEL_END)[1] for record in vocabulary.decode(part).strip(BOUNDARY).split(BOUNDARY)}
        for part in held
    ]
    assert sum(map(len, names)) == 200
    assert min(map(len, names)) > 5


def test_a_record_keeps_its_part_when_others_are_added():
    few, _ = records_of(*(f"name {i}" for i in range(100)))
    many, _ = records_of(*(f"name {i}" for i in range(1000)))
    first, more = set(few.parts(0.3)[2].tolist()), set(many.parts(0.3)[2].tolist())
    assert first == {i for i in more if i < 100}


def test_too_few_records_for_a_part():
    records, _ = records_of("a", "a", "a")
    with pytest.raises(InputError, match="of which 1 differ"):
        records.parts(0.5)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=400), st.integers(0, 2**31))
def test_every_record_is_in_one_batch(lengths, seed):
    lengths = np.array(lengths)
    found = batches(lengths, 1, 256, np.random.default_rng(seed))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    assert all(len(batch) for batch in found)


def test_names_have_less_than_five_per_cent_of_padding():
    rng = np.random.default_rng(0)
    for lengths in (rng.poisson(6, 30_000) + 1, rng.integers(40, 200, 20_000)):
        found = batches(lengths, 16, 1024, rng)
        computed = sum(len(batch) * (int(lengths[batch].max()) + 1) for batch in found)
        assert computed < 1.05 * (lengths + 1).sum()


def test_the_order_is_another_in_every_epoch():
    lengths = np.full(500, 7)
    first, again, other = (np.concatenate(batches(lengths, 4, 64, np.random.default_rng([3, e]))) for e in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_records_that_do_not_fit_into_memory_are_refused_with_the_figures(monkeypatch):
    records, vocabulary = records_of("one", "two", "three")
    monkeypatch.setattr("unrolled.text.records._free_memory", lambda: 10)
    with pytest.raises(InputError, match=r"15 characters of records need 0\.0 GB .* 0\.0 GB are free"):
        cut_text(records.ids, vocabulary.boundary, 0.3)


def test_the_first_held_out_records_of_a_sorted_file_are_a_sample_of_it():
    records, vocabulary = records_of(*(f"{i:04}" for i in range(2000)))
    _, parts = cut_text(records.ids, vocabulary.boundary, 0.2)
    first = [int(text) for text in vocabulary.decode(parts.validation).split(BOUNDARY)[:40]]
    assert min(first) < 400
    assert max(first) > 1600
    training = vocabulary.decode(parts.train).strip(BOUNDARY).split(BOUNDARY)
    assert training == sorted(training)

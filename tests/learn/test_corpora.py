"""Which characters are the validation and the test part: shares of the text, files given for them, or whole files."""

from pathlib import Path

import pytest

from unrolled import train
from unrolled.errors import InputError
from unrolled.learn.corpora import corpus_of, split_text
from unrolled.learn.recipe import Recipe
from unrolled.learn.request import Request
from unrolled.text.encoded import encode_corpus

WORDS = ("ink", "pen", "paper", "line", "letter", "word")


def parts_of(recipe: Recipe, *sources: Path, mixing: float = 0.0, **held_out: Path) -> dict[str, str]:
    text, cut = split_text(recipe, encode_corpus(corpus_of(Request(sources, recipe=recipe, **held_out))), mixing)
    names = ("train", "mixing", "validation", "test")
    for name in names:
        start, end = cut.bounds(name)
        assert text.ids[start:end].tolist() == getattr(cut, name).tolist()
    return {name: text.vocabulary.decode(getattr(cut, name)).replace("\ufdd0", "|") for name in names}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Thirty files of some lines; the last ten are copies of the first."""
    paths = [tmp_path / f"{i:02d}.txt" for i in range(30)]
    for i, path in enumerate(paths):
        path.write_text("\n".join(f"{word} {i % 20}" for word in WORDS))
    return paths


@pytest.mark.parametrize("records", [None, "lines"])
def test_files_are_validated_and_tested_on(files: list[Path], records: str | None) -> None:
    text, valid, test = files[:3]
    whole = parts_of(Recipe(records=records), text, valid=valid, test_file=test, mixing=0.3)
    lines = {path: sorted(path.read_text().split("\n")) for path in files[:3]}
    for part, path in (("validation", valid), ("test", test)):
        assert sorted(whole[part].strip("|\n").replace("|", "\n").split("\n")) == lines[path]
    tested = parts_of(Recipe(records=records, validation=0.3), text, test_file=test)
    assert tested["test"] == whole["test"]
    learned = tested["train"] + tested["validation"]
    assert sorted(learned.strip("|\n").replace("|", "\n").split("\n")) == lines[text]
    assert tested["validation"]


def test_whole_files_are_held_out_and_copies_stand_on_one_side(files: list[Path]) -> None:
    recipe = Recipe(hold_out="files", validation=0.2, test=0.1)
    found = parts_of(recipe, *files)
    assert found == parts_of(recipe, files[0].parent)
    sides = {name: set(part.strip("\n").split("\n")) for name, part in found.items() if part}
    assert set.union(*sides.values()) == {line for path in files for line in path.read_text().split("\n")}
    assert sum(map(len, sides.values())) == 20 * len(WORDS), "no line stands on two sides"
    assert (len(sides["validation"]), len(sides["test"])) == (4 * len(WORDS), 2 * len(WORDS))
    assert "|" in parts_of(Recipe(hold_out="files", records="lines"), *files)["validation"]


def test_what_contradicts_is_refused(files: list[Path]) -> None:
    with pytest.raises(InputError, match="too few different files"):
        corpus_of(Request(files[:1], recipe=Recipe(hold_out="files")))
    with pytest.raises(InputError, match="replaces --test"):
        corpus_of(Request(files[:1], recipe=Recipe(test=0.1), test_file=files[1]))
    with pytest.raises(InputError, match="and --hold-out"):
        corpus_of(Request(files[:3], recipe=Recipe(hold_out="files"), valid=files[4]))
    with pytest.raises(InputError, match="does not exist"):
        corpus_of(Request(files[:1], recipe=Recipe(), test_file=files[0].parent / "none.txt"))


def test_counts_are_tested_on_a_file(files: list[Path]) -> None:
    done = train(files[:9], rung="counts", test_file=files[9], valid=files[10])
    assert done.summary.test is not None
    assert done.summary.test["bits"] > 0
    assert done.summary.validation_characters == len(files[10].read_text() + "\n")

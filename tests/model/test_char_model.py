"""CharModel: next-character distributions and scores against PyTorch, seeds, unknown characters, no PyTorch in use."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from oracle import logits_of_torch
from tiny import TEXT, tiny_model, tiny_parts
from unrolled.errors import FolderError, InputError
from unrolled.model.cells import CELLS
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelParts
from unrolled.text.vocabulary import Vocabulary

every_rung = pytest.mark.parametrize("rung", CELLS)
MODEL = tiny_model()


@every_rung
def test_next_is_the_softmax_of_the_network_that_trains(rung: str) -> None:
    parts = tiny_parts(rung, layers=2, hidden=7)
    logits = logits_of_torch(parts, TEXT[:50])[-1]
    expected = torch.softmax(logits[1:], -1)
    found = CharModel(parts).next(TEXT[:50])
    by_name = dict(found)
    assert [by_name[character] for character in parts.vocabulary.characters] == pytest.approx(
        expected.tolist(), abs=1e-5
    )
    probabilities = [probability for _, probability in found]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)


def test_equal_seeds_write_equal_texts_and_other_seeds_others() -> None:
    texts = [MODEL.generate("the ", 60, seed=seed) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] == "".join(MODEL.stream("the ", 60)) != texts[2]
    assert len(texts[0]) == 60


def test_temperature_zero_ignores_the_seed_and_takes_the_first_of_next() -> None:
    text = MODEL.generate("the ", 40, temperature=0, seed=1)
    assert text == MODEL.generate("the ", 40, temperature=0, seed=2)
    assert text == MODEL.generate("the ", 40, top_k=1, seed=3)
    for place in range(40):
        assert MODEL.next("the " + text[:place])[0][0] == text[place]


def test_an_empty_prompt_starts_from_the_start() -> None:
    assert MODEL.next("") == MODEL.read("").next()
    assert len(MODEL.generate("", 10)) == len(MODEL.generate(length=10)) == 10


def test_unknown_characters_are_named_with_their_position_and_the_way_out() -> None:
    for use in (MODEL.next, MODEL.read, MODEL.stream, MODEL.score):
        with pytest.raises(InputError, match=r"'Ж' \(U\+0416\) at position 4, .*unknown='replace' or 'skip'"):
            use("the Ж")
    assert MODEL.next("thЖe", unknown="skip") == MODEL.next("the")
    assert MODEL.next("thЖ", unknown="replace") != MODEL.next("th")
    place = MODEL.read("th")
    place.feed([0])
    assert MODEL.next("thЖ", unknown="replace") == place.next()
    with pytest.raises(InputError, match="unknown is 'repalce', but must be 'error', 'skip' or 'replace'"):
        MODEL.next("th", unknown="repalce")


def test_embedding_names_every_character_with_its_facts() -> None:
    table = MODEL.embedding
    assert table.names == MODEL.vocabulary.characters
    assert np.array_equal(table["a"], MODEL.parts.weights["embedding.weight"][MODEL.vocabulary.encode("a")[0]])
    assert dict(zip(table.names, table.facts["count"], strict=True))["a"] == TEXT.count("a")
    assert dict(zip(table.names, table.facts["kind"], strict=True))["3"] == "digit"


def test_embedding_has_the_unknown_character_if_rare_ones_were_merged() -> None:
    text = "aaabbbcd"
    parts = tiny_parts(text=text)
    vocabulary = Vocabulary.of(text, min_count=2)
    weights = {name: a[:3] if len(a) == 5 else a for name, a in tiny_parts(text="ab").weights.items()}
    table = CharModel(ModelParts(tiny_parts(text="ab").config, vocabulary, weights, {})).embedding
    assert table.names == ("\ufffd", "a", "b")
    assert table.facts["count"].tolist() == [2, 3, 3]
    assert "\ufffd" not in CharModel(parts).embedding.names


def test_saved_and_loaded_models_are_equal_to_the_bit(tmp_path: Path) -> None:
    MODEL.save_pretrained(tmp_path / "model")
    back = CharModel.from_pretrained(tmp_path / "model")
    assert back.next("the ") == MODEL.next("the ")
    assert back.generate("the ", 50, seed=4) == MODEL.generate("the ", 50, seed=4)
    assert back.training == {}
    assert repr(back) == f"CharModel(lstm, 1 x 5, {len(MODEL.vocabulary)} ids)"
    assert back._repr_html_().startswith("<pre># A character model: lstm")
    with pytest.raises(FolderError, match="exists already"):
        MODEL.save_pretrained(tmp_path / "model")


def test_using_a_model_never_imports_torch(tmp_path: Path) -> None:
    MODEL.save_pretrained(tmp_path / "model")
    code = f"""
import sys
from unrolled.model.char_model import CharModel
model = CharModel.from_pretrained({str(tmp_path / "model")!r})
model.next("the "), model.generate("the ", 5, top_p=0.9, repetition=1.1, stop=["q"]), model.score("the cat")
model.read("the").save({str(tmp_path / "state")!r})
model.embedding.nearest("a")
heavy = {{"torch", "pandas", "sklearn", "matplotlib", "plotly", "rich"}} & set(sys.modules)
sys.exit(f"imported: {{heavy}}" if heavy else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

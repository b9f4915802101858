"""State: reading in pieces, forks, and going on from the disk, bit for bit; damaged and foreign state files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from tiny import TEXT, tiny_model
from unrolled.errors import FolderError, InputError
from unrolled.files import sha256, to_json
from unrolled.model.cells import CELLS
from unrolled.model.char_model import CharModel
from unrolled.model.sampling import RECENT, Sampling
from unrolled.model.state import State, _pack, _unpack

GOLDEN = Path(__file__).parents[1] / "data_golden"
OPTIONS = {"temperature": 0.9, "top_k": 9, "top_p": 0.95, "min_p": 0.01, "repetition": 1.1}
every_rung = pytest.mark.parametrize("rung", CELLS)
MODEL = tiny_model("lstm", layers=2)


def bits(state: State) -> list[bytes]:
    """All that decides what follows, as bytes."""
    arrays = [*state.hidden, state.logits, np.array(state.recent)]
    return [array.tobytes() for array in arrays] + [to_json(state.generator.bit_generator.state)]


@every_rung
def test_reading_in_pieces_is_reading(rung: str) -> None:
    model = tiny_model(rung, layers=2)
    whole = model.read(TEXT[:70])
    pieces = model.read("")
    for start in range(0, 70, 7):
        pieces = pieces.read(TEXT[start : start + 7])
    assert bits(pieces) == bits(whole)
    assert pieces.position == whole.position == 70


@every_rung
def test_writing_is_reading_what_was_written(rung: str) -> None:
    model = tiny_model(rung)
    place = model.read("the cat")
    text = place.generate(50)
    read = model.read("the cat" + text)
    assert bits(read)[:-1] == bits(place)[:-1], "all but the random generator"
    assert place.position == 57


@settings(max_examples=20)
@given(first=st.integers(1, 39), on_disk=st.booleans())
def test_writing_in_two_parts_is_writing(first: int, on_disk: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = MODEL.read("the ").generate(40, seed=5, **OPTIONS)
    place = MODEL.read("the ")
    begun = place.generate(first, seed=5, **OPTIONS)
    if on_disk:
        path = tmp_path_factory.mktemp("state") / "state"
        place.save(path)
        place = State.load(path, MODEL)
    assert begun + place.generate(40 - first, **OPTIONS) == whole


def test_a_stored_state_is_the_state(tmp_path: Path) -> None:
    place = MODEL.read(TEXT)
    place.generate(10, seed=3)
    place.save(tmp_path / "state")
    back = State.load(tmp_path / "state", MODEL)
    assert bits(back) == bits(place)
    assert back.position == place.position == len(TEXT) + 10
    assert len(place.recent) == RECENT
    place.save(tmp_path / "state")  # again, over the old one


def test_a_fresh_process_goes_on_to_the_bit(tmp_path: Path) -> None:
    """At a usual size, where matrix products are done in blocks whose order must not depend on where arrays lie."""
    model = tiny_model("lstm", hidden=200, embedding=33, layers=2)
    model.save_pretrained(tmp_path / "model")
    place = model.read(TEXT[:50])
    place.generate(5, seed=1)
    place.save(tmp_path / "state")
    code = f"""
import sys
from unrolled.model.char_model import CharModel
from unrolled.model.state import State
state = State.load({str(tmp_path / "state")!r}, CharModel.from_pretrained({str(tmp_path / "model")!r}))
state.generate(60, temperature=0.8)
state.save({str(tmp_path / "later")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    place.generate(60, temperature=0.8)
    place.save(tmp_path / "here")
    assert (tmp_path / "later").read_bytes() == (tmp_path / "here").read_bytes()


def test_a_state_of_a_large_network_is_a_few_kilobytes(tmp_path: Path) -> None:
    tiny_model("lstm", hidden=512).read("the").save(tmp_path / "state")
    assert (tmp_path / "state").stat().st_size < 8_000


def test_forks_go_their_own_ways() -> None:
    place = MODEL.read("the c")
    place.generate(3, seed=9)
    fork = place.fork()
    before = bits(place)
    text = fork.generate(30)
    assert bits(place) == before
    assert place.generate(30) == text, "with the same random numbers"
    other = place.fork()
    assert other.generate(30, seed=1) != other.fork().generate(30, seed=2)


def test_reading_on_leaves_the_place_as_it_is() -> None:
    place = MODEL.read("the c")
    before = bits(place)
    onward = place.read("at")
    assert bits(place) == before
    assert bits(onward) == bits(MODEL.read("the cat"))
    assert bits(MODEL.read("at", place)) == bits(onward)


def test_the_start_has_the_frequencies_of_the_training_text() -> None:
    start = MODEL.read("")
    distribution = dict(start.next())
    counts = dict(zip(MODEL.vocabulary.characters, MODEL.vocabulary.counts, strict=True))
    total = sum(counts.values()) + len(counts)
    assert distribution == pytest.approx({character: (n + 1) / total for character, n in counts.items()})
    assert start.position == 0
    assert len(start.generate(5)) == 5


def test_stop_strings_end_a_call_and_the_state_is_behind_them() -> None:
    text = MODEL.read("the ").generate(200, seed=1)
    stop = text[50:53]
    place = MODEL.read("the ")
    short = place.generate(200, seed=1, stop=("never in it", stop))
    assert short == text[: text.index(stop)]
    assert place.position == 4 + text.index(stop) + len(stop)
    written = place.position - 4
    assert place.generate(20) == text[written : written + 20]


def test_characters_come_as_they_are_drawn() -> None:
    place = MODEL.read("the ")
    stream = place.stream(1_000_000_000)
    assert place.position == 4, "nothing is drawn before it is asked for"
    next(stream)
    assert place.position == 5


def test_writing_never_draws_the_reserved_id() -> None:
    parts = MODEL.parts
    parts.weights["head.bias"].flags.writeable = True
    loud = CharModel(parts)
    loud.network.head_bias = loud.network.head_bias.copy()
    loud.network.head_bias[0] = 1e4
    assert set(loud.generate("the", 100)) <= set(loud.vocabulary.characters)
    assert len(loud.next("the")) == len(loud.vocabulary.characters)


@pytest.mark.parametrize("length", [0, -3])
def test_lengths_below_one(length: int) -> None:
    with pytest.raises(InputError, match=f"length is {length}, but must be at least 1"):
        MODEL.read("the").stream(length)


def test_wrong_settings_are_said_before_anything_is_written() -> None:
    place = MODEL.read("the")
    with pytest.raises(InputError, match="temperature"):
        place.stream(3, temperature=-1)
    with pytest.raises(InputError, match="stop string"):
        place.stream(3, stop="")
    with pytest.raises(InputError, match="seed is -1"):
        place.stream(3, seed=-1)


SMALL = tiny_model("rnn", text="abba", embedding=1, hidden=1)


def test_a_flipped_bit_in_any_byte_and_any_truncation_of_a_state_file_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "state"
    SMALL.read("ab").save(path)
    data = path.read_bytes()
    with open(path, "r+b", buffering=0) as file:
        for bit in range(0, 8 * len(data), 7):
            place = bit // 8
            os.pwrite(file.fileno(), bytes([data[place] ^ 1 << bit % 8]), place)
            with pytest.raises(FolderError, match=r"/state "):
                State.load(path, SMALL)
            os.pwrite(file.fileno(), data[place : place + 1], place)
    State.load(path, SMALL)
    for length in reversed(range(len(data))):
        os.truncate(path, length)
        with pytest.raises(FolderError, match=r"/state "):
            State.load(path, SMALL)


@pytest.mark.parametrize(
    ("facts", "tensors", "message"),
    [
        ({"position": None}, {}, "is not a state"),
        ({"generator": {"bit_generator": "MT19937"}}, {}, "is not a state"),
        ({"generator": None}, {}, "is not a state"),
        ({}, {"logits": np.zeros(9, np.float32)}, "logits is float32 of shape"),
        ({}, {"logits": np.full(3, np.nan, np.float32)}, "not finite"),
        ({}, {"hidden.0": np.zeros(1)}, "hidden.0 is float64"),
        ({}, {"hidden.1": np.zeros(1, np.float32)}, "unexpected names"),
        ({}, {"recent": np.array([3])}, "unexpected names"),
        ({}, {"recent": np.zeros(RECENT + 1, np.int64)}, "unexpected names"),
        ({"model": "another"}, {}, "the state of another model"),
    ],
)
def test_hostile_states_with_a_right_sum(facts: dict, tensors: dict, message: str, tmp_path: Path) -> None:
    state = SMALL.read("ab")
    (tmp_path / "state").write_bytes(_pack(state._facts() | facts, state._tensors() | tensors))
    with pytest.raises(FolderError, match=message):
        State.load(tmp_path / "state", SMALL)


def test_what_is_no_state_file(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="nowhere is missing"):
        State.load(tmp_path / "nowhere", SMALL)
    with pytest.raises(FolderError, match="cannot be read"):
        State.load(tmp_path, SMALL)
    (tmp_path / "weights").write_bytes(safetensors.numpy.save({"a": np.zeros(1)}))
    with pytest.raises(FolderError, match="is not a state written by unrolled"):
        State.load(tmp_path / "weights", SMALL)


def test_a_newer_format_says_so(tmp_path: Path) -> None:
    content = to_json({"format": 2, "sha256": sha256(b"")}).decode()
    (tmp_path / "state").write_bytes(safetensors.numpy.save({}, {"unrolled.state": content}))
    with pytest.raises(FolderError, match="format 2, newer than the 1 known here: upgrade"):
        State.load(tmp_path / "state", SMALL)


def test_states_of_every_format_go_on_as_they_did_then() -> None:
    expected = json.loads((GOLDEN / "state_format_1.json").read_text())
    model = CharModel.from_pretrained(GOLDEN / expected["model"])
    state = State.load(GOLDEN / "state_format_1.state", model)
    assert state.position == expected["position"]
    assert state.generate(60, temperature=0.8, repetition=1.05) == expected["goes_on"]


def test_packing_round_trip() -> None:
    tensors = {"a": np.arange(3), "b": np.ones((2, 2), np.float32)}
    facts, back = _unpack(_pack({"x": 1}, tensors), "it")
    assert facts == {"x": 1}
    assert all(np.array_equal(back[name], tensors[name]) for name in tensors)


def test_sampling_of_a_state_is_that_of_sampling() -> None:
    """One step by hand: filters on the state's logits, a number of its generator."""
    place = MODEL.read(TEXT[:40])
    by_hand = place.fork()
    drawn = Sampling(**OPTIONS).draw(by_hand.logits, by_hand.generator, np.array(by_hand.recent))
    assert place.generate(1, **OPTIONS) == MODEL.vocabulary.decode([drawn])


def test_a_state_is_kept_without_a_file(tmp_path: Path) -> None:
    model = tiny_model()
    state = model.read("the cat sat")
    state.save(tmp_path / "state")
    assert state.to_bytes() == (tmp_path / "state").read_bytes()
    assert State.from_bytes(state.to_bytes(), model).generate(20) == state.generate(20)
    with pytest.raises(FolderError, match=r"^this is not a state"):
        State.from_bytes(b"", model)

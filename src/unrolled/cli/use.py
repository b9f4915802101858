"""`unrolled next`, `generate` and `score`: use a trained model. NumPy alone; rich only where colours are asked for."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from unrolled.cli.options import Encoding, Flag, Json, Only, Run, SamplingFlags, Seed, Texts, Unknown, Words
from unrolled.cli.output import fail, messages, print_json, results
from unrolled.embedding import visible
from unrolled.errors import InputError
from unrolled.model.char_model import CharModel
from unrolled.model.sampling import UNFILTERED
from unrolled.text.vocabulary import OnUnknown

if TYPE_CHECKING:
    from rich.text import Text

    from unrolled.model.scoring import Score
    from unrolled.text.encoded import EncodedText

SURPRISE = ((1.0, ""), (3.0, "black on #fff3bf"), (6.0, "black on #ffc078"), (float("inf"), "white on #c92a2a"))
"""Bits below which a character is painted so."""


def next_character(
    run: Run,
    prompt: Words,
    *,
    top: int = 10,
    unknown: Unknown = "error",
    only: Only = None,
    json: Json = False,
) -> None:
    """Show the distribution of the next character.

    Parameters
    ----------
    prompt
        The text before the character. After an empty one, the frequencies in the training text are shown.
    top
        Characters to show.
    """
    if top < 1:
        raise InputError(f"--top is {top}, but at least 1 character must be shown")
    model = CharModel.from_pretrained(run, warn=fail, only=only)
    distribution = model.next(prompt, unknown=unknown)
    if json:
        rows = [{"character": character, "probability": p} for character, p in distribution]
        print_json({"prompt": prompt, "next": rows})
        return
    block = _printable("█", "#")
    for character, probability in distribution[:top]:
        print(f"{visible(character):<8}{probability:7.2%}  {block * round(40 * probability)}".rstrip())


def generate(
    run: Run,
    *,
    prompt: Words = "",
    length: int = 400,
    sampling: SamplingFlags = UNFILTERED,
    stop: Annotated[tuple[Words, ...], Flag] = (),
    seed: Seed = 0,
    unknown: Unknown = "error",
    only: Only = None,
    json: Json = False,
) -> None:
    """Let a network write, character by character, after the prompt.

    Parameters
    ----------
    prompt
        The text to go on from.
    length
        Characters to write at most.
    stop
        End before this string; can be given several times.
    """
    model = CharModel.from_pretrained(run, warn=fail, only=only)
    characters = model.stream(prompt, length, sampling, stop=stop, seed=seed, unknown=unknown)
    if json:
        print_json({"prompt": prompt, "text": "".join(characters), "seed": seed})
    else:
        _print_as_they_come(prompt, characters)


def score(
    run: Run,
    *texts: Texts,
    color: Annotated[bool, Flag] = False,
    exact: Annotated[bool, Flag] = False,
    encoding: Encoding = "utf-8",
    unknown: Unknown = "error",
    only: Only = None,
    json: Json = False,
) -> None:
    """Measure the bits per character of a text, beside those of gzip and xz.

    Parameters
    ----------
    color
        Paint each character by its surprise.
    exact
        Read a long text in one go too, which takes much longer. Texts up to 65,536 characters always are.
    """
    model = CharModel.from_pretrained(run, warn=fail, only=only)
    encoded = _encoded(model, texts, encoding, unknown)
    measured = _measured(model, encoded, 1 if exact else None)
    if json:
        print_json(measured.to_json())
        return
    if color:
        results().print(_painted(model, encoded, measured))
    _print_score(measured)


def _print_as_they_come(prompt: str, characters: Iterator[str]) -> None:
    print(prompt, end="", flush=True)
    for character in characters:
        print(character, end="", flush=True)
    print()


def _encoded(model: CharModel, texts: tuple[str, ...], encoding: str, unknown: OnUnknown) -> EncodedText:
    from unrolled.text.corpus import open_corpus
    from unrolled.text.encoded import encode_corpus

    if not texts:
        raise InputError("no text was given: name files, folders, '-' for standard input, or a named set")
    lower = model.training.get("recipe", {}).get("lower") is True  # what was learned is what is measured
    corpus = open_corpus(texts, encoding=encoding, lower=lower)
    return encode_corpus(corpus, model.vocabulary, unknown=unknown)


def _measured(model: CharModel, encoded: EncodedText, stretches: int | None) -> Score:
    if not sys.stderr.isatty():
        return model.score(encoded, stretches=stretches)
    from rich.progress import Progress

    with Progress(console=messages(), transient=True) as bar:
        task = bar.add_task("scoring", total=len(encoded))
        return model.score(encoded, stretches=stretches, progress=lambda done: bar.update(task, completed=done))


def _print_score(measured: Score) -> None:
    alone = [(f"{name} alone", nats / math.log(2)) for name, nats in measured.alone.items()]
    rows = (*alone, ("this model", measured.bits), ("gzip", measured.gzip_bits), ("xz", measured.xz_bits))
    width = 2 + max(len(name) for name, _ in rows)
    print(f"bits per character on {measured.characters:,} characters ({measured.nats:.4f} nats)")
    for name, bits in rows:
        print(f"  {name:<{width}}{bits:.3f}")
    if measured.unknown:
        print(f"{measured.unknown:,} characters are unknown to the model, so its figure is too low")
    print(measured.rule)


def _painted(model: CharModel, encoded: EncodedText, measured: Score) -> Text:
    """The text with each character in the colour of its surprise, and the legend."""
    from rich.text import Text

    if measured.each is None:
        raise InputError(f"--color paints texts of up to a million characters, not of {len(encoded):,}")
    painted = Text()
    bounds = [bound for bound, _ in SURPRISE]
    levels = [next(i for i, bound in enumerate(bounds) if bits < bound) for bits in measured.each / math.log(2)]
    for character, level in zip(model.vocabulary.decode(encoded.ids), levels, strict=True):
        painted.append(character, SURPRISE[level][1])
    painted.append("\n\n")
    names = ("under 1 bit", "1 to 3", "3 to 6", "6 and more")
    for name, (_, style) in zip(names, SURPRISE, strict=True):
        painted.append(f" {name} ", style)
    return painted


def _printable(character: str, instead: str) -> str:
    """`character`, or `instead` where stdout cannot show it."""
    try:
        character.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return instead
    return character

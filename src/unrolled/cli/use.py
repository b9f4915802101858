"""`unrolled next` and `generate`: use a trained model. NumPy alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from unrolled.cli.options import Flag, Json, Only, Run, SamplingFlags, Seed, Unknown, Words
from unrolled.cli.output import fail, print_json
from unrolled.embedding import visible
from unrolled.errors import InputError
from unrolled.model.char_model import CharModel
from unrolled.model.sampling import UNFILTERED

if TYPE_CHECKING:
    pass


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


def _print_as_they_come(prompt: str, characters: Iterator[str]) -> None:
    print(prompt, end="", flush=True)
    for character in characters:
        print(character, end="", flush=True)
    print()


def _printable(character: str, instead: str) -> str:
    """`character`, or `instead` where stdout cannot show it."""
    try:
        character.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return instead
    return character

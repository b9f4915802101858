"""`unrolled next`, `generate` and `complete`: use a trained model. NumPy alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from typing import Annotated

from unrolled.cli.options import Flag, Json, Only, Prompt, Raw, Run, SamplingFlags, Seed, Unknown
from unrolled.cli.output import fail, print_json, printable, say, write_shown
from unrolled.embedding import visible
from unrolled.errors import InputError, unknown_name
from unrolled.model.char_model import CharModel
from unrolled.model.sampling import UNFILTERED, Sampling

NEWLINES = str.maketrans("\n", "⏎")
BEST_OF = 100
"""Records of which `--best` chooses, if --count is not given."""
SHOWN = 40
"""Characters of a prompt that are shown before its completions."""


def next_character(
    run: Run,
    prompt: Prompt,
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
        The text before the character; \\n and \\t stand for a newline and a tab. After an empty one, the frequencies in
        the training text are shown.
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
    block = printable("█", "#")
    for character, probability in distribution[:top]:
        print(f"{visible(character):<8}{probability:7.2%}  {block * round(40 * probability)}".rstrip())


def generate(
    run: Run,
    *,
    prompt: Prompt = "",
    length: int = 400,
    count: int | None = None,
    new: Annotated[bool, Flag] = False,
    label: str | None = None,
    best: int | None = None,
    sampling: SamplingFlags = UNFILTERED,
    stop: Annotated[tuple[Prompt, ...], Flag] = (),
    seed: Seed = 0,
    unknown: Unknown = "error",
    only: Only = None,
    raw: Raw = False,
    json: Json = False,
) -> None:
    """Generate text, character by character, after the prompt.

    Parameters
    ----------
    prompt
        The text to continue; \\n and \\t stand for a newline and a tab. By default a new line begins.
    length
        Maximum number of characters to generate.
    count
        Generate this many records instead, each from --prompt to its end, one per line, or with an empty line after
        those of several lines; for models trained with --records.
    new
        Leave out records of the training text and repetitions.
    label
        Generate records with this label, for models trained with --label-column.
    best
        Of the --count records (100 if not given) print this many: those with the fewest bits per character.
    stop
        End before this string; can be given several times.
    """
    from unrolled.model.novelty import copied_runs  # the reader of texts behind it is not needed by `next`

    write_shown(not raw)
    model = CharModel.from_pretrained(run, warn=fail, only=only)
    if label is not None:
        prompt = f"{_known_label(model, label)}\t{prompt}"
    if count is not None or new or label is not None or best is not None:
        if count is None:
            count = 1 if best is None else BEST_OF
        _write_records(run, model, count, new, best, prompt, sampling, seed, json)
        return
    before = prompt or ("\n" if "\n" in model.vocabulary.characters else "")
    characters = model.stream(before, length, sampling, stop=stop, seed=seed, unknown=unknown)
    text = "".join(characters) if json else _print_as_they_come(prompt, characters)
    copied = copied_runs(run, model.vocabulary.encode(text, "replace"))
    if json:
        print_json({"prompt": prompt, "text": text, "seed": seed} | ({} if copied is None else copied._asdict()))
    elif copied is not None:
        say(copied.sentence)


def complete(
    run: Run,
    prompt: Prompt,
    *,
    line: Annotated[bool, Flag] = False,
    count: int = 5,
    unknown: Unknown = "error",
    only: Only = None,
    raw: Raw = False,
    json: Json = False,
) -> None:
    """Show the likeliest ways to finish a word, or a line.

    Parameters
    ----------
    prompt
        The text before it, with the beginning of the word.
    line
        Finish the line instead of the word.
    count
        Completions to show, up to 50.
    """
    write_shown(not raw)
    model = CharModel.from_pretrained(run, warn=fail, only=only)
    found = model.complete(prompt, "line" if line else "word", count, unknown=unknown)
    if json:
        print_json({"prompt": prompt, "completions": [asdict(one) for one in found]})
        return
    for one in found:
        print(f"{one.probability:7.2%}  {(prompt[-SHOWN:] + one.text).translate(NEWLINES)}")


def _known_label(model: CharModel, label: str) -> str:
    if not model.labels:
        raise InputError("this model has no labels: train it with --records and --label-column")
    if label not in model.labels:
        raise unknown_name("label", label, model.labels)
    return label


def _write_records(
    run: Path, model: CharModel, count: int, new: bool, best: int | None, start: str, sampling: Sampling, seed: int,
    json: bool,
) -> None:  # fmt: skip
    from unrolled.model.novelty import TRIES, read_novelty

    if best is not None and not 1 <= best <= count:
        raise InputError(f"--best is {best}, but must be from 1 to the --count, {count}")
    drawn = model.records(sys.maxsize if new else count, sampling, start=start, seed=seed)
    novelty = read_novelty(run, model.vocabulary)
    written = []
    for record in islice((novelty.new if new else novelty.counted)(drawn), count):
        written.append(record)
        if not json and best is None:
            print(_as_printed(record), flush=True)
    if best is not None:
        written = [one.line for one in nsmallest(best, model.score_lines(written), key=lambda one: one.bits)]
        if not json:
            print(*map(_as_printed, written), sep="\n")
    if json:
        print_json({"records": written, "drawn": novelty.drawn, "copies": novelty.copies, "seed": seed})
    if novelty.exhausted:
        fail(f"stopped after {len(written)} of {count} records: the last {TRIES:,} that were drawn were not new")
    say(f"{novelty.copies} of {novelty.drawn} records drawn are copies of training records")


def _as_printed(record: str) -> str:
    """A record, and an empty line after one of several lines."""
    return record.rstrip("\n") + "\n" if "\n" in record else record


def _print_as_they_come(prompt: str, characters: Iterator[str]) -> str:
    """What was printed after the prompt."""
    print(prompt, end="", flush=True)
    written = []
    for character in characters:
        written.append(character)
        print(character, end="", flush=True)
    print()
    return "".join(written)

"""`unrolled look agree`: which continuation a network expects, and how far back that depends on a word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from unrolled.cli.output import print_json
from unrolled.cli.parameters import Flag, Words
from unrolled.cli.showing import Unknown, check_known, model_in, print_table, text_for
from unrolled.embedding import visible
from unrolled.errors import InputError

if TYPE_CHECKING:
    from unrolled.look.agreement.cues import Reach, Shift
    from unrolled.look.agreement.pairs import Agreement


def agree(
    run: Path,
    *lines: Words,
    file: Path | None = None,
    text: Words | None = None,
    cue: list[str] | None = None,
    choice: str = "he|she",
    places: int = 300,
    characters: int = 100_000,
    seed: int = 0,
    encoding: str = "utf-8",
    unknown: Unknown = "error",
    json: Annotated[bool, Flag] = False,
) -> None:
    """Which of several continuations a network expects, and how far back that depends on a word.

    Parameters
    ----------
    run
        The run folder.
    lines
        Contexts with a choice in brackets, and perhaps a cue in braces: "The {man|woman} said that [he|she|it]".
    file
        A file of such lines; empty ones and those that begin with # are passed over.
    text
        A text to take places from instead: wherever --choice stands behind a --cue, the cue is exchanged. A file, a
        folder, '-', or nietzsche, tinyshakespeare, python-docs; best one the network was not trained on.
    cue
        Words of the text that are exchanged for each other: "man|woman". May be given several times.
    choice
        The words of the text that agree with them, in the same order.
    places
        Places of the text at most.
    characters
        Only the last so many characters of the text are used: training leaves out the end of its text.
    seed
        Decides the places.
    encoding
        Of the text.
    unknown
        Characters that the network never saw: error refuses the text, skip leaves them out.
    json
        Print one JSON object.
    """
    from unrolled.look.agreement.cues import by_distance, pairs_in, shifts
    from unrolled.look.agreement.pairs import agreement, read_pairs

    model = model_in(run)
    if text is None:
        pairs = read_pairs([*lines, *(_lines_of(file) if file else [])])
    elif lines or file or not cue:
        raise InputError('--text takes places from a text: give it with --cue "man|woman", and without lines or --file')
    else:
        words = [_words(group, "--cue") for group in cue]
        read = text_for(model, text, characters, encoding, unknown)
        pairs = pairs_in(read, words, _words(choice, "--choice"), places, seed)
    for pair in pairs:
        check_known(model, "".join([pair.context, *pair.choices, pair.rest]))
    found = [agreement(model, pair) for pair in pairs]
    moved = shifts(found)
    reaches = by_distance(moved)
    if json:
        facts = {
            "run": f"{run}",
            "agreements": [one.to_json() for one in found],
            "shifts": [one.to_json() for one in moved],
            "by_distance": [one.to_json() for one in reaches],
        }
        print_json(facts)
        return
    if text is None:
        _print_agreements(found, moved)
    _print_reaches(len(moved), reaches)


def _words(group: str, option: str) -> tuple[str, ...]:
    words = tuple(group.split("|"))
    if len(words) < 2 or not all(words) or len(set(words)) < len(words):
        raise InputError(
            f'{option} is {group!r}, but two or more different words split by | were expected: "man|woman"'
        )
    return words


def _lines_of(file: Path) -> Iterable[str]:
    from unrolled.text.corpus import open_corpus

    return open_corpus([file]).read().splitlines()


def _print_agreements(found: Sequence[Agreement], moved: Sequence[Shift]) -> None:
    nats, rows = {one.line: f"{one.nats:+.2f}" for one in moved}, []
    for one in found:
        pair = one.pair
        chances = "  ".join(f"{c} {share:.1%}" for c, share in zip(pair.choices, one.shares, strict=True))
        moved_by = nats.pop(pair.line, "")  # once, beside the first form
        rows.append((visible(pair.context[-40:]), pair.cue or "", f"{pair.distance}", moved_by, chances))
    print_table(("context", "cue", "characters back", "moved by", "expected"), rows)
    print("expected: shares of the probability of the choices, of 100 % in all; a word counts only where it ends")
    if moved:
        print("moved by: nats by which the cue moves the odds of its own choice, the first cue's being the first")


def _print_reaches(lines: int, reaches: Sequence[Reach]) -> None:
    if reaches:
        rows = [
            (f"{one.near}-{one.far}", f"{one.lines}", f"{one.nats:+.2f}", f"[{one.low:+.2f} to {one.high:+.2f}]")
            for one in reaches
        ]
        print(f"\n{lines} places: nats by which the cue moves the odds of its own choice, by its distance")
        print_table(("characters back", "places", "moved by", "95 % interval"), rows)

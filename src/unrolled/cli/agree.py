"""`unrolled look agree`: which continuation a network expects, and how far back a cue word decides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from unrolled.cli.options import Characters, Json, Run, Seed, TextFlags, TextOptions, Words
from unrolled.cli.output import print_json
from unrolled.cli.showing import check_known, check_picture, model_in, print_table, save_picture, text_for
from unrolled.embedding import visible
from unrolled.errors import InputError

if TYPE_CHECKING:
    from unrolled.look.agreement.cues import CueEffect, DistanceBand
    from unrolled.look.agreement.pairs import Agreement


def agree(
    run: Run,
    *lines: Words,
    file: Path | None = None,
    text: Words | None = None,
    cue: list[str] | None = None,
    choice: str = "he|she",
    places: int = 300,
    characters: Characters = 100_000,
    seed: Seed = 0,
    reading: TextFlags = TextOptions(),  # noqa: B008 - frozen
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Which of several continuations a network expects, and how far back a cue word decides it.

    Parameters
    ----------
    lines
        Lines with a choice in brackets, and optionally a cue in braces: "The {man|woman} said that [he|she|it]".
    file
        A file of such lines; empty lines and lines that begin with # are skipped.
    text
        A text to take the lines from: wherever a --choice follows a --cue, the cue is replaced by its other forms. A
        file, a folder, '-', or nietzsche, tinyshakespeare, python-docs; preferably not the training text.
    cue
        Words of the text that are replaced by each other: "man|woman". May be given several times.
    choice
        The words of the text that agree with the cues, in the same order.
    places
        The largest number of positions taken from the text.
    out
        Write a picture of the probabilities, or for many lines of the effects by distance, .png or .svg.
    """
    from unrolled.look.agreement.cues import by_distance, cue_effects, pairs_from_text
    from unrolled.look.agreement.pairs import agreement, alternatives, read_pairs
    from unrolled.look.agreement.picture import draw_agreement
    from unrolled.text.corpus import open_corpus

    check_picture(out)
    model = model_in(run)
    if text is None:
        pairs = read_pairs([*lines, *(open_corpus([file]).read().splitlines() if file else [])])
    elif lines or file or not cue:
        raise InputError('--text takes lines from a text: give it with --cue "man|woman", and without lines or --file')
    else:
        cues, choices = [alternatives(group, "--cue") for group in cue], alternatives(choice, "--choice")
        pairs = pairs_from_text(text_for(model, text, characters, reading), cues, choices, places, seed)
    for pair in pairs:
        check_known(model, "".join([pair.context, *pair.choices, pair.rest]))
    found = [agreement(model, pair) for pair in pairs]
    effects = cue_effects(found)
    bands = by_distance(effects)
    if out:
        save_picture(draw_agreement(found, effects, bands, f"what {run.name} expects"), out)
    if json:
        shown = {"shifts": [asdict(one) for one in effects], "by_distance": [asdict(one) for one in bands]}
        return print_json({"run": f"{run}", "agreements": [one.to_json() for one in found], **shown})
    if text is None:
        _print_agreements(found, effects)
    return _print_bands(len(effects), bands)


def _print_agreements(found: Sequence[Agreement], effects: Sequence[CueEffect]) -> None:
    nats, rows = {one.line: f"{one.nats:+.2f}" for one in effects}, []
    for one in found:
        pair = one.pair
        shares = "  ".join(f"{c} {share:.1%}" for c, share in zip(pair.choices, one.shares, strict=True))
        effect = nats.pop(pair.line, "")  # once, beside the first form
        rows.append((visible(pair.context[-40:]), pair.cue or "", f"{pair.distance}", effect, shares))
    print_table(("context", "cue", "distance", "effect", "probabilities"), rows)
    print("probabilities: of each choice, scaled to 100 % in all; a word counts only if it ends there")
    if effects:
        print("effect: change in the log odds of the matching choice, in nats; the first cue matches the first choice")


def _print_bands(lines: int, bands: Sequence[DistanceBand]) -> None:
    if bands:
        rows = [
            (f"{one.near}-{one.far}", f"{one.lines}", f"{one.nats:+.2f}", f"[{one.low:+.2f} to {one.high:+.2f}]")
            for one in bands
        ]
        print(f"\n{lines} lines: effect of the cue (nats) by its distance from the choice in characters")
        print_table(("distance", "lines", "effect", "95 % interval"), rows)

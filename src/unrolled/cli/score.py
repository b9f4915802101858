"""`unrolled score`: how well a model predicts a text, or each of its lines. NumPy alone; rich only for colours."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from unrolled.cli.lines import lines_of
from unrolled.cli.options import Encoding, Flag, Json, Only, Run, Unknown, Words
from unrolled.cli.output import fail, messages, print_json, results, say
from unrolled.cli.showing import run_names
from unrolled.errors import InputError, import_extra
from unrolled.model.char_model import CharModel
from unrolled.model.folder import is_model_folder
from unrolled.model.lines import LineScore, escape_nats

if TYPE_CHECKING:
    from rich.text import Text

    from unrolled.model.scoring import Score
    from unrolled.text.encoded import EncodedText

SURPRISE = ((1.0, ""), (3.0, "black on #fff3bf"), (6.0, "black on #ffc078"), (float("inf"), "white on #c92a2a"))
"""Styles by the bits of a character: each holds below its bound."""
Colour = Annotated[bool | Literal["always", "never"], Flag]


def score(
    run: Run,
    *texts: Words,
    color: Colour = False,
    exact: Annotated[bool, Flag] = False,
    adapt: Annotated[bool, Flag] = False,
    lines: Annotated[bool, Parameter(negative="", group="Lines")] = False,
    top: Annotated[int | None, Parameter(group="Lines")] = None,
    mask: Annotated[bool, Parameter(negative="", group="Lines")] = False,
    follow: Annotated[bool, Parameter(negative="", group="Lines")] = False,
    encoding: Encoding = "utf-8",
    unknown: Unknown = "error",
    only: Only = None,
    json: Json = False,
) -> None:
    """Measure the bits per character of a text, beside those of gzip and xz; or of every line of it.

    With --lines: a line of tab-separated values for each line of the text, which are its number, bits per character,
    total bits, the position of its most surprising character (from 0), and the line. A line is read after a newline. A
    character that the model does not know is no error there, but costs its escape. With several runs: number, the run
    that needs the fewest bits, the total bits of each run, and the line.

    Parameters
    ----------
    texts
        Files, folders, '-' for standard input, or nietzsche, tinyshakespeare, python-docs. With --lines, further run
        folders may come first.
    color
        Paint each character by its surprise, where stdout is a terminal; --color always paints in files and pipes too.
    exact
        Read a long text without cutting it, which takes much longer. Texts up to 65,536 characters never are cut.
    adapt
        Measure too what the model reaches if its networks go on learning from each 32 characters after predicting them.
        This is another kind of figure than all others. Needs PyTorch, and minutes for a megabyte.
    lines
        Score every line on its own. Standard input is scored as it arrives.
    top
        Print this many lines only, the most surprising first (by bits per character), painted on a terminal.
    mask
        Do not count numbers, dates, addresses and hexadecimal runs, which vary in every log line. They are still read.
    follow
        Wait for further lines of a growing file.
    json
        Print one JSON object, with --lines one for each line.
    """
    if lines:
        if adapt:
            raise InputError("--adapt learns along one text: leave out --lines")
        runs, sources = _runs_first(run, texts)
        output = _LineOutput(color, top, mask, follow, json)
        _score_lines(runs, only, lines_of(sources, encoding, follow=follow), output)
        return
    for name, given in (("top", top), ("mask", mask), ("follow", follow)):
        if given:
            raise InputError(f"--{name} is about lines: add --lines")
    model = CharModel.from_pretrained(run, warn=fail, only=only)
    encoded = _encoded(model, texts, encoding, unknown)
    measured = _measured(model, encoded, 1 if exact else None)
    adaptive = _adapted(model, encoded) if adapt else {}
    if json:
        print_json(measured.to_json() | adaptive)
        return
    if color and color != "never":
        results(force=color == "always").print(_painted_text(model, encoded, measured))
    _print_score(measured)
    for nats in adaptive.values():
        print(f"adaptive, learning from the text while reading it: {nats / math.log(2):.3f} ({nats:.4f} nats)")


def _adapted(model: CharModel, encoded: EncodedText) -> dict[str, float]:
    import_extra("torch")
    from unrolled.learn.adapting import adapted_nats

    return {"adaptive_nats": float(adapted_nats(model.parts, encoded.ids).mean())}


def _encoded(model: CharModel, texts: tuple[str, ...], encoding: str, unknown: Unknown) -> EncodedText:
    from unrolled.model.scoring import check_stream
    from unrolled.text.corpus import open_corpus
    from unrolled.text.encoded import encode_corpus

    check_stream(model)
    if not texts:
        raise InputError("no text was given: name files, folders, '-' for standard input, or a named set")
    corpus = open_corpus(texts, encoding=encoding, lower=model.lower)
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


def _painted_text(model: CharModel, encoded: EncodedText, measured: Score) -> Text:
    """The text with each character in the colour of its surprise, and the legend."""
    if measured.each is None:
        raise InputError(f"--color paints texts of up to a million characters, not of {len(encoded):,}")
    painted = _painted(model.vocabulary.decode(encoded.ids), measured.each)
    painted.append("\n\n")
    names = ("under 1 bit", "1 to 3", "3 to 6", "6 and more")
    for name, (_, style) in zip(names, SURPRISE, strict=True):
        painted.append(f" {name} ", style)
    return painted


def _painted(text: str, nats: NDArray[np.float32]) -> Text:
    from rich.text import Text

    painted = Text()
    levels = np.searchsorted([bound for bound, _ in SURPRISE], nats / math.log(2), side="right")
    for character, level in zip(text, levels.tolist(), strict=True):
        painted.append(character, SURPRISE[level][1])
    return painted


@dataclass(frozen=True)
class _LineOutput:
    """How lines are printed: the options of the command."""

    color: bool | Literal["always", "never"]
    top: int | None
    mask: bool
    follow: bool
    json: bool

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise InputError(f"--top is {self.top}, but at least 1 line must be shown")
        if self.top is not None and self.follow:
            raise InputError("--top needs the end of the text, which --follow waits for: leave out one of them")

    def print(self, number: int, one: LineScore) -> None:
        """One line of output."""
        if self.json:
            print_json({"number": number} | one.to_json())
            return
        figures = f"{number}\t{one.bits:.4f}\t{one.total_bits:.2f}\t{'-' if one.position is None else one.position}\t"
        if self.color != "never" and (self.color or self.top is not None):
            print(figures, end="")  # rich would turn tabs into spaces
            results(force=self.color == "always").print(_painted(one.line, one.nats[: len(one.line)]))
        else:
            print(figures + one.line)


def _runs_first(run: Path, texts: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """The run folders at the beginning of the arguments, and the texts after them."""
    runs = [f"{run}"]
    while texts and is_model_folder(Path(texts[0])):
        runs, texts = [*runs, texts[0]], texts[1:]
    return runs, texts


def _score_lines(runs: Sequence[str], only: str | None, groups: Iterator[list[str]], output: _LineOutput) -> None:
    models = {name: CharModel.from_pretrained(run, warn=fail, only=only) for run, name in run_names(runs).items()}
    scored = _numbered(list(models.values()), groups, output.mask)
    unknown = Counter[str]()

    def counted() -> Iterator[tuple[int, list[LineScore]]]:
        for number, scores in scored:
            unknown.update({name: one.unknown for name, one in zip(models, scores, strict=True) if one.unknown})
            yield number, scores

    if len(models) > 1:
        _print_best(list(models), counted(), output)
    else:
        rows: Iterable[tuple[int, LineScore]] = ((number, scores[0]) for number, scores in counted())
        if output.top is not None:
            rows = nlargest(output.top, rows, key=lambda row: row[1].bits)
        for number, one in rows:
            output.print(number, one)
    for name, times in unknown.items():
        first, which = escape_nats(models[name].vocabulary)
        cost = f"{'more than ' * (first is None)}{((first or 0) + which) / math.log(2):.0f} bits"
        say(f"{times:,} characters are unknown to {name}; each costs {cost}")


def _numbered(
    models: Sequence[CharModel], groups: Iterator[list[str]], mask: bool
) -> Iterator[tuple[int, list[LineScore]]]:
    """The number of each line and its score under each model; output is flushed when a group is done."""
    numbers = count(1)
    for lines in groups:
        each = [model.score_lines(map(_lower, lines) if model.lower else lines, mask=mask) for model in models]
        for scores in zip(*each, strict=True):
            yield next(numbers), list(scores)
        sys.stdout.flush()


def _lower(line: str) -> str:
    from unrolled.text.corpus import lower_case

    return lower_case(line)


def _print_best(names: Sequence[str], rows: Iterator[tuple[int, list[LineScore]]], output: _LineOutput) -> None:
    if output.top is not None:
        raise InputError("--top ranks the lines of one run, but several were given")
    best = Counter[str]()
    for number, scores in rows:
        bits = {name: one.total_bits for name, one in zip(names, scores, strict=True)}
        name = min(bits, key=lambda name: bits[name])
        best[name] += 1
        if output.json:
            print_json({"number": number, "best": name, "total_bits": bits, "line": scores[0].line})
        else:
            print("\t".join([f"{number}", name, *(f"{each:.2f}" for each in bits.values()), scores[0].line]))
    say("; ".join(f"{name} is best on {times:,} lines" for name, times in best.most_common()))

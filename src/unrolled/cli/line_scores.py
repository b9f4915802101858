"""`unrolled score --lines`: how the scores of lines, the best of several runs, and the labels of lines are printed.

Left out: the lines of files (`lines`), the score of a whole text (`score`).
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import count
from pathlib import Path
from typing import Annotated, Literal

from unrolled.cli.confusion import Confusion, without_label
from unrolled.cli.options import Flag
from unrolled.cli.output import fail, print_json, results, say
from unrolled.cli.showing import painted, run_names
from unrolled.errors import InputError
from unrolled.model.char_model import CharModel
from unrolled.model.folder import is_model_folder
from unrolled.model.lines import LineScore, escape_nats
from unrolled.text.corpus import lower_case
from unrolled.text.variables import Kinds


@dataclass(frozen=True)
class LineOptions:
    """Whether lines are scored, and which and how: the flags of the command that mean something for lines alone."""

    lines: Annotated[bool, Flag] = False
    """Score every line on its own. Standard input is scored as it arrives."""
    top: int | None = None
    """Print only this many lines, the most surprising first, coloured on a terminal."""
    rank: Literal["bits", "total", "peak"] = "bits"
    """How --top ranks lines: by bits per character, total bits, or the peak, the bits per character of the most
    surprising ten characters in a row."""
    mask: Annotated[bool, Flag] = False
    """Do not count numbers, dates, addresses and hexadecimal runs, which vary in every log line. They are still read.
    Better for logs: train with --mask."""
    follow: Annotated[bool, Flag] = False
    """Wait for further lines of a growing file."""
    by_label: Annotated[bool, Flag] = False
    """With a run trained on labels: print number, likeliest label, its probability, and the line."""
    labels: Annotated[bool, Flag] = False
    """Each line begins with its label and a tab: count which labels were found, by --by-label or by the best run."""

    def check_unused(self) -> None:
        """Raises InputError for options that are about lines, where a whole text is scored."""
        for name in ("top", "mask", "follow", "labels"):
            if getattr(self, name):
                raise InputError(f"--{name} is about lines: add --lines")


@dataclass(frozen=True, kw_only=True)
class LineOutput(LineOptions):
    """How lines are printed. Raises InputError for options that exclude each other."""

    color: bool | Literal["always", "never"]
    adapt: bool
    json: bool

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise InputError(f"--top is {self.top}, but at least 1 line must be shown")
        if self.top is not None and self.follow:
            raise InputError("--top needs the end of the text, which --follow waits for: leave out one of them")
        if self.by_label and (self.top is not None or self.mask or self.adapt):
            raise InputError("--by-label has a probability for each label: leave out --top, --mask and --adapt")

    def print(self, number: int, one: LineScore) -> None:
        """One line of output."""
        if self.json:
            print_json({"number": number} | one.to_json())
            return
        figures = f"{number}\t{one.bits:.4f}\t{one.total_bits:.2f}\t{'-' if one.position is None else one.position}\t"
        if self.color != "never" and (self.color or self.top is not None):
            print(figures, end="")  # rich would turn tabs into spaces
            results(force=self.color == "always").print(painted(one.line, one.nats[: len(one.line)]))
        else:
            print(figures + one.line)

    def print_found(self, number: int, found: Mapping[str, object], columns: Sequence[str]) -> None:
        """One line about what was found: an object, or its values in columns."""
        print_json({"number": number, **found}) if self.json else print("\t".join([f"{number}", *columns]))

    def groups(self, groups: Iterator[list[str]]) -> Iterator[list[tuple[str, str]]]:
        """The label of each line, empty without labels, and the line; output is flushed when a group is done."""
        for lines in groups:
            yield [without_label(line) if self.labels else ("", line) for line in lines]
            sys.stdout.flush()


def runs_first(run: Path, texts: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """The run folders at the beginning of the arguments, and the texts after them."""
    runs = [f"{run}"]
    while texts and is_model_folder(Path(texts[0])):
        runs, texts = [*runs, texts[0]], texts[1:]
    return runs, texts


def score_lines(runs: Sequence[str], only: str | None, groups: Iterator[list[str]], output: LineOutput) -> None:
    """Print what each of the lines scores. Raises InputError for options that do not fit the runs."""
    models = {name: CharModel.from_pretrained(run, warn=fail, only=only) for run, name in run_names(runs).items()}
    for name, model in models.items():
        if "\n" in model.vocabulary.characters and model.vocabulary.boundary is not None:
            say(f"the records of {name} may have several lines, but here each line is scored as a separate record")
    name, first = next(iter(models.items()))
    if len(models) > 1 and (output.by_label or output.top is not None or output.adapt):
        raise InputError("--top, --adapt and --by-label are about the lines of one run, but several were given")
    if output.by_label:
        _print_labels(first, output.groups(groups), output)
    elif len(models) > 1:
        _print_best(models, output.groups(groups), output)
    elif output.labels:
        raise InputError("one run finds no labels: add --by-label, or give a run for each label")
    else:
        _print_each(name, first, groups, output)


def _print_each(name: str, model: CharModel, groups: Iterator[list[str]], output: LineOutput) -> None:
    unknown, kinds = 0, Kinds() if output.adapt else None

    def scored() -> Iterator[tuple[int, LineScore]]:
        nonlocal unknown
        numbers = count(1)
        for lines in groups:
            for one in model.score_lines(_as_read(model, lines), mask=output.mask, kinds=kinds):
                unknown += one.unknown
                yield next(numbers), one
            sys.stdout.flush()

    rows: Iterable[tuple[int, LineScore]] = scored()
    if output.top is not None:
        ranked_by = {"bits": "bits", "total": "total_bits", "peak": "peak"}[output.rank]
        rows = nlargest(output.top, rows, key=lambda row: getattr(row[1], ranked_by))
    for number, one in rows:
        output.print(number, one)
    _say_unknown(name, model, unknown)


def _print_best(models: Mapping[str, CharModel], groups: Iterator[list[tuple[str, str]]], output: LineOutput) -> None:
    """The run that needs the fewest bits for each line."""
    best, unknown, confusion, numbers = Counter[str](), Counter[str](), Confusion(models), count(1)
    for group in groups:
        each = [
            model.score_lines(_as_read(model, [line for _, line in group]), mask=output.mask)
            for model in models.values()
        ]
        for (label, line), *scores in zip(group, *each, strict=True):
            bits = {name: one.total_bits for name, one in zip(models, scores, strict=True)}
            unknown.update({name: one.unknown for name, one in zip(models, scores, strict=True) if one.unknown})
            name = min(bits, key=bits.__getitem__)
            best[name] += 1
            confusion.count(label, name)
            columns = [name, *(f"{one:.2f}" for one in bits.values()), line]
            output.print_found(next(numbers), {"best": name, "total_bits": bits, "line": line}, columns)
    say("; ".join(f"{name} is best on {times:,} lines" for name, times in best.most_common()))
    if output.labels:
        confusion.print()
    for name, times in unknown.items():
        _say_unknown(name, models[name], times)


def _print_labels(model: CharModel, groups: Iterator[list[tuple[str, str]]], output: LineOutput) -> None:
    """The likeliest label of each line."""
    confusion, numbers = Confusion(model.labels), count(1)
    for group in groups:
        scores = model.score_by_label(_as_read(model, [line for _, line in group]))
        for (label, line), one in zip(group, scores, strict=True):
            found = {"best": one.best, "probabilities": one.probabilities, "line": line}
            output.print_found(next(numbers), found, [one.best, f"{one.probabilities[one.best]:.4f}", line])
            confusion.count(label, one.best)
    if output.labels:
        confusion.print()


def _as_read(model: CharModel, lines: Sequence[str]) -> Iterable[str]:
    return map(lower_case, lines) if model.lower else lines


def _say_unknown(name: str, model: CharModel, times: int) -> None:
    if not times:
        return
    first, which = escape_nats(model.vocabulary)
    cost = f"{'more than ' * (first is None)}{((first or 0) + which) / math.log(2):.0f} bits"
    say(f"{times:,} character{'s are' if times > 1 else ' is'} unknown to {name}, at {cost} each")

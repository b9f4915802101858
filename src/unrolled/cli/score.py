"""`unrolled score`: how well a model predicts a text, or each of its lines. NumPy alone; rich only for colours."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from unrolled.cli.line_scores import LineOptions, LineOutput, runs_first, score_lines
from unrolled.cli.lines import lines_of
from unrolled.cli.options import Encoding, Flag, Json, Only, Raw, Run, Unknown, Words
from unrolled.cli.output import fail, print_json, results, write_shown
from unrolled.cli.showing import SURPRISE, painted
from unrolled.errors import InputError, import_extra
from unrolled.model.char_model import CharModel
from unrolled.progress import progress_bar

if TYPE_CHECKING:
    from rich.text import Text

    from unrolled.model.scoring import Score
    from unrolled.text.encoded import EncodedText

Colour = Annotated[bool | Literal["always", "never"], Flag]


def score(
    run: Run,
    *texts: Words,
    color: Colour = False,
    exact: Annotated[bool, Flag] = False,
    adapt: Annotated[bool, Flag] = False,
    lines: Annotated[LineOptions, Parameter(name="*", group="Lines")] = LineOptions(),  # noqa: B008 - frozen
    encoding: Encoding = "utf-8",
    unknown: Unknown = "error",
    only: Only = None,
    json: Json = False,
    raw: Raw = False,
) -> None:
    """Measure the bits per character of a text, beside those of gzip and xz; or of every line of it.

    With --lines: a line of tab-separated values for each line of the text, which are its number, bits per character,
    total bits, the position of its most surprising character (from 0), and the line. A line is read after a newline. A
    character that the model does not know is no error there but costs 35 to 40 bits. With several runs: number,
    the run that needs the fewest bits, the total bits of each run, and the line.

    Parameters
    ----------
    texts
        Files, folders, '-' for standard input, or nietzsche, tinyshakespeare, python-docs. With --lines, further run
        folders may come first.
    color
        Colour each character by its loss, where stdout is a terminal; --color always does so in files and pipes too.
    exact
        Read a long text without cutting it, which takes much longer. Texts up to 65,536 characters are never cut.
    adapt
        Also measure with dynamic evaluation: the networks learn from every 32 characters after predicting them, so that
        figure cannot be compared with the others. Needs PyTorch, and minutes per megabyte. With --lines, a line that
        differs from an earlier one only in its numbers, dates and ids costs next to nothing, instead of being reported
        each time; this is fast and needs no PyTorch.
    json
        Print one JSON object, with --lines one for each line.
    """
    write_shown(not raw)
    if lines.lines or lines.by_label:
        runs, sources = runs_first(run, texts)
        output = LineOutput(**vars(lines), color=color, adapt=adapt, json=json)
        score_lines(runs, only, lines_of(sources, encoding, follow=lines.follow), output)
        return
    lines.check_unused()
    model = CharModel.from_pretrained(run, warn=fail, only=only)
    encoded = _encoded(model, texts, encoding, unknown)
    measured = _measured(model, encoded, 1 if exact else None)
    adaptive = {}
    if adapt:
        import_extra("torch")
        from unrolled.learn.adapting import adapted_nats

        adaptive["adaptive_nats"] = float(adapted_nats(model.parts, encoded.ids).mean())
    if json:
        print_json(measured.to_json() | adaptive)
        return
    if color and color != "never":
        results(force=color == "always").print(_painted_text(model, encoded, measured))
    _print_score(measured)
    for nats in adaptive.values():
        print(f"adaptive, learning from the text while reading it: {nats / math.log(2):.3f} ({nats:.4f} nats)")


def _encoded(model: CharModel, texts: tuple[str, ...], encoding: str, unknown: Unknown) -> EncodedText:
    from unrolled.model.scoring import check_stream
    from unrolled.text.corpus import open_corpus
    from unrolled.text.encoded import encode_corpus

    check_stream(model)
    if not texts:
        raise InputError("no text was given: name files, folders, '-' for standard input, or a named set")
    corpus = open_corpus(texts, encoding=encoding, lower=model.lower, normalize=model.normalize, mask=model.mask)
    return encode_corpus(corpus, model.vocabulary, unknown=unknown)


def _measured(model: CharModel, encoded: EncodedText, stretches: int | None) -> Score:
    if not sys.stderr.isatty():
        return model.score(encoded, stretches=stretches)
    with progress_bar() as bar:
        return model.score(encoded, stretches=stretches, progress=lambda done: bar("scoring", done / len(encoded)))


def _print_score(measured: Score) -> None:
    alone = [(f"{name} alone", nats / math.log(2)) for name, nats in measured.alone.items()]
    rows = (*alone, ("this model", measured.bits), ("gzip", measured.gzip_bits), ("xz", measured.xz_bits))
    width = 2 + max(len(name) for name, _ in rows)
    print(f"bits per character on {measured.characters:,} characters ({measured.nats:.4f} nats)")
    for name, bits in rows:
        print(f"  {name:<{width}}{bits:.3f}")
    if measured.unknown:
        which = "character is" if measured.unknown == 1 else "characters are"
        print(f"{measured.unknown:,} {which} unknown to the model, so its figure is too low")
    print(measured.rule)


def _painted_text(model: CharModel, encoded: EncodedText, measured: Score) -> Text:
    """The text with each character in the colour of its surprise, and the legend."""
    if measured.each is None:
        raise InputError(f"--color paints texts of up to a million characters, not of {len(encoded):,}")
    text = painted(model.vocabulary.decode(encoded.ids), measured.each)
    text.append("\n\n")
    names = ("under 1 bit", "1 to 3", "3 to 6", "6 and more")
    for name, (_, style) in zip(names, SURPRISE, strict=True):
        text.append(f" {name} ", style)
    return text

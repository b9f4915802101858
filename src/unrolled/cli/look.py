"""`unrolled look memory|units|state`: what a network remembers, and what its units do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from unrolled.cli.output import fail, messages, print_json, results, say
from unrolled.cli.parameters import Flag, Words
from unrolled.cli.showing import Unknown, check_known, check_picture, model_in, print_table, save_picture, text_for
from unrolled.embedding import visible
from unrolled.errors import InputError
from unrolled.files import write_file

if TYPE_CHECKING:
    from unrolled.look.memory.measure import Memory
    from unrolled.look.units.scan import Finding, Scan, Silencing
    from unrolled.model.char_model import CharModel

PAINTED = 1500
"""Characters of a painted text that the terminal shows."""
WORST = 8
SMALLEST = 1e-5
"""Means below this are not printed."""


def memory(
    *runs_and_text: Words,
    distance: int = 256,
    places: int = 1000,
    characters: int = 50_000,
    measure: str = "cost",
    by_place: Annotated[bool, Flag] = False,
    seed: int = 0,
    encoding: str = "utf-8",
    unknown: Unknown = "error",
    out: Path | None = None,
    json: Annotated[bool, Flag] = False,
) -> None:
    """How far back the predictions of networks still depend on their text.

    Parameters
    ----------
    runs_and_text
        One or more run folders, then the text: a file, a folder, '-', or nietzsche, tinyshakespeare, python-docs.
    distance
        How many characters back to look.
    places
        Places of the text to look at; more of them see a weaker dependence.
    characters
        Only the last so many characters of the text are used: training leaves out the end of its text.
    measure
        The curve to show: cost, causal, connectivity or context.
    by_place
        Curves inside a word, after a space, after a quotation mark and after a newline too.
    seed
        Decides the places.
    encoding
        Of the text file.
    unknown
        Characters that the network never saw: error refuses the text, skip leaves them out.
    out
        A picture of the curves, .png or .svg.
    json
        Print one JSON object with all curves.
    """
    from unrolled.look.memory.measure import MEANING, MEASURES, WHOLE
    from unrolled.look.memory.picture import check_measure, draw_memories

    if len(runs_and_text) < 2:
        raise InputError("run folders and a text are needed, in this order: unrolled look memory RUN TEXT")
    check_measure(measure)
    check_picture(out)
    *runs, source = runs_and_text
    names = _names(runs)
    found = [_memory_of(run, names[run], source, characters, encoding, unknown, distance, places, seed) for run in runs]
    if out:
        save_picture(draw_memories(found, measure, by_place=by_place), out)
    if json:
        print_json({"text": source, "memories": [one.to_json() for one in found]})
        return
    for one in found:
        _print_memory(one)
    kinds = None if by_place else (WHOLE,)
    for one in found:
        print(f"\n{one.name}: {MEASURES[measure]}, by characters back")
        _print_curves(one, measure, kinds)
    print(f"\nmemory is {MEANING}.")


def units(
    run: Path,
    text: Words,
    *,
    unit: int | None = None,
    layer: int | None = None,
    characters: int = 20_000,
    seed: int = 0,
    encoding: str = "utf-8",
    unknown: Unknown = "error",
    out: Path | None = None,
    json: Annotated[bool, Flag] = False,
) -> None:
    """What single hidden units respond to, and what is lost when one is switched off.

    Parameters
    ----------
    run
        The run folder.
    text
        A file, a folder, '-', or nietzsche, tinyshakespeare, python-docs; best one the network was not trained on.
    unit
        Paint the text by this unit and switch it off, instead of the most convincing one.
    layer
        The layer of --unit, counted from 0; the last one if not given.
    characters
        Only the last so many characters of the text are used: training leaves out the end of its text.
    seed
        Decides the untrained networks that findings are compared with.
    encoding
        Of the text file.
    unknown
        Characters that the network never saw: error refuses the text, skip leaves them out.
    out
        The text painted by the unit, as a page (.html).
    json
        Print one JSON object.
    """
    from unrolled.look.units.activations import Unit, check_unit
    from unrolled.look.units.scan import scan_units, silence
    from unrolled.plotting import check_type

    if out:
        check_type(out, (".html",))
    model = model_in(run)
    read = text_for(model, text, characters, encoding, unknown)
    chosen = Unit(model.config.layers - 1 if layer is None else layer, unit) if unit is not None else None
    if chosen:
        check_unit(model.network, chosen)
    with messages().status("asking every unit"):
        scan = scan_units(model, read, seed=seed)
    if chosen is None and scan.convincing:
        chosen = scan.convincing[0].unit
    off = silence(model, read, chosen) if chosen else None
    if out and off:
        _write_painted(model, read, off, scan, out)
    elif out:
        fail("no unit is convincing, so nothing was painted: choose one with --unit")
    if json:
        print_json(scan.to_json() | {"silenced": off.to_json() if off else None})
        return
    _print_scan(scan)
    if off:
        _print_unit(model, read, off)


def state(
    run: Path,
    text: Words,
    *,
    layer: int | None = None,
    out: Path | None = None,
    path: Path | None = None,
    json: Annotated[bool, Flag] = False,
) -> None:
    """The hidden state over time: a heat map, and its path in the plane of its two main components.

    Parameters
    ----------
    run
        The run folder.
    text
        The text itself, up to 400 characters.
    layer
        Counted from 0; the last one if not given.
    out
        The heat map, .png or .svg.
    path
        The path of the state, .png or .svg.
    json
        Print one JSON object.
    """
    from unrolled.look.units.states import draw_map, draw_path, state_path

    for file in (out, path):
        check_picture(file)
    model = model_in(run)
    check_known(model, text)
    seen = state_path(model, text, layer)
    title = f"hidden state of {run.name}, layer {seen.layer}"
    for file, draw in ((out, draw_map), (path, draw_path)):
        if file:
            save_picture(draw(seen, title), file)
    if json:
        print_json(seen.to_json())
        return
    print(f"{title}: {seen.hidden.shape[1]} units over {len(text)} characters")
    print("the two main components hold {:.0%} and {:.0%} of the variance".format(*seen.explained))
    rows = [
        (visible(c), f"{x:7.2f}", f"{y:7.2f}", f"{step:6.2f}")
        for c, (x, y), step in zip(text, seen.path, seen.moves, strict=True)
    ]
    print_table(("after", "first", "second", "moved by"), rows)


def _names(runs: list[str]) -> dict[str, str]:
    """What each run is called: the name of its folder, or as it was given where two folders share a name."""
    short = {run: Path(run).name for run in runs}
    return {run: name if list(short.values()).count(name) == 1 else run for run, name in short.items()}


def _memory_of(
    run: str,
    name: str,
    source: str,
    characters: int,
    encoding: str,
    unknown: Unknown,
    distance: int,
    places: int,
    seed: int,
) -> Memory:
    from unrolled.look.memory.measure import measure_memory

    model = model_in(run)
    text = text_for(model, source, characters, encoding, unknown)
    ids = model.vocabulary.encode(text)
    from unrolled.learn.loading import network_of

    with messages().status(f"measuring {run}"):
        network = network_of(model.parts)
        return measure_memory(network, ids, text, name=name, distance=distance, places=places, seed=seed)


def _print_memory(one: Memory) -> None:
    found = "no dependence found" if one.characters is None else f"memory {one.characters} characters"
    limit = " (as far as was measured)" if one.characters == one.distance else ""
    print(f"{one.name}: {found}{limit}; {one.loss:.4f} nats a character at {one.sites:,} places")


def _print_curves(one: Memory, measure: str, kinds: tuple[str, ...] | None) -> None:
    for kind, curve in one.curves[measure].items():
        if kinds and kind not in kinds:
            continue
        rows = [row for row in curve.rows() if abs(row[2]) >= SMALLEST]
        print(f"{kind}:" if rows else f"{kind}: nothing of {SMALLEST} or more")
        top = max((mean for _, _, mean, _, _ in rows), default=0.0)
        for near, far, mean, low, high in rows:
            where = f"{near}" if near == far else f"{near}-{far}"
            bar = _block() * (round(40 * mean / top) if mean > 0 else 0)
            print(f"  {where:>8} {mean:9.5f}  [{low:9.5f} to {high:9.5f}]  {bar}".rstrip())


def _print_scan(scan: Scan) -> None:
    if not scan.convincing:
        print(f"no unit is convincing on these {scan.characters:,} characters")
    else:
        print_table(("question", "unit", "AUC", "at least", "untrained"), [_row(f) for f in scan.convincing])
    print(f"\nrule: {scan.rule}; {len(scan.findings)} questions were asked.")


def _row(found: Finding) -> tuple[str, ...]:
    sign = "" if found.high else " (low where true)"
    unit = f"{found.unit.layer}:{found.unit.number}{sign}"
    return found.question, unit, f"{found.auc:.3f}", f"{found.low:.3f}", f"{found.untrained:.3f}"


def _print_unit(model: CharModel, text: str, off: Silencing) -> None:
    from unrolled.look.units.activations import watch
    from unrolled.look.units.paint import in_terminal, limit_of

    values = watch(model, text).of(off.unit)
    print(f"\nthe end of the text, painted by {off.unit} (blue below zero, orange above):\n")
    results().print(in_terminal(text[-PAINTED:], values[-PAINTED:], limit_of(values)))
    print(f"\nswitched off, the text costs {off.nats:+.4f} nats a character; worst for:")
    rows = [(visible(w.character), f"{w.nats:+.4f}", f"{w.places:,}") for w in off.by_character[:WORST]]
    print_table(("character", "nats each", "places"), rows)


def _write_painted(model: CharModel, text: str, off: Silencing, scan: Scan, out: Path) -> None:
    from unrolled.look.units.activations import watch
    from unrolled.look.units.paint import page

    named = ", ".join(f.question for f in scan.convincing if f.unit == off.unit) or "nothing by the rule of the scan"
    note = f"Convincing for: {named}. Switched off, the text costs {off.nats:+.4f} nats a character."
    write_file(out, page(text, watch(model, text).of(off.unit), f"{off.unit}".capitalize(), note).encode())
    say(f"written: {out}")


def _block() -> str:
    try:
        "█".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "#"
    return "█"

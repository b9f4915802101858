"""`unrolled look memory|units|state`: how far back a network remembers, and what its units respond to."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from unrolled.bounds import check_name
from unrolled.cli.options import Characters, Json, Picture, Run, Seed, Source, TextFlags, TextOptions, Words
from unrolled.cli.output import fail, messages, print_json, printable, results, say
from unrolled.cli.showing import check_known, check_picture, model_in, print_table, run_names, save_picture, text_for
from unrolled.embedding import visible
from unrolled.errors import InputError
from unrolled.files import check_out, write_file

if TYPE_CHECKING:
    from unrolled.look.memory.measure import DistanceCurve, Memory
    from unrolled.look.units.activations import Unit
    from unrolled.look.units.scan import Ablation, Scan
    from unrolled.model.char_model import CharModel

PAINTED = 1500
"""Characters of a painted text shown in the terminal."""
WORST = 8
SMALLEST = 1e-5
"""Means below this are not printed."""


def memory(
    *runs_and_text: Words,
    distance: int = 256,
    places: int = 1000,
    characters: Characters = 50_000,
    measure: str = "cost",
    seed: Seed = 0,
    reading: TextFlags = TextOptions(),  # noqa: B008 - frozen
    out: Picture = None,
    json: Json = False,
) -> None:
    """How far back the predictions of networks depend on their text.

    Parameters
    ----------
    runs_and_text
        One or more run folders, then the text: a file, a folder, '-', or nietzsche, tinyshakespeare, python-docs.
    distance
        The largest distance to measure, in characters.
    places
        Number of positions to probe; more of them detect a weaker dependence.
    measure
        The curve to show: cost, causal or context.
    """
    from unrolled.learn.networks.network import network_of
    from unrolled.look.memory.measure import MEANING, MEASURES, measure_memory
    from unrolled.look.memory.picture import draw_memories

    if len(runs_and_text) < 2:
        raise InputError("one or more run folders and a text are needed, in this order: unrolled look memory RUN TEXT")
    check_name("measure", measure, MEASURES)
    check_picture(out)
    *runs, source = runs_and_text
    names = run_names(runs)
    found = []
    for run in runs:
        model = model_in(run)
        text = text_for(model, source, characters, reading)
        ids = model.vocabulary.encode(text)
        with messages().status(f"measuring {run}"):
            network, name = network_of(model.parts), names[run]
            one = measure_memory(network, ids, text, name=name, distance=distance, places=places, seed=seed)
        found.append(one)
    if out:
        save_picture(draw_memories(found, measure), out)
    if json:
        return print_json({"text": source, "memories": [one.to_json() for one in found]})
    for one in found:
        _print_memory(one)
    for one in found:
        print(f"\n{one.name}: {MEASURES[measure]}, by characters back")
        _print_curve(one.curves[measure])
    return print(f"\nmemory is {MEANING}.")


def units(
    run: Run,
    text: Source,
    *,
    unit: int | None = None,
    layer: int | None = None,
    characters: Characters = 20_000,
    seed: Seed = 0,
    reading: TextFlags = TextOptions(),  # noqa: B008 - frozen
    out: Path | None = None,
    json: Json = False,
) -> None:
    """What single hidden units respond to, and how much the loss rises when one is set to zero (ablation).

    Parameters
    ----------
    unit
        Paint the text by this unit and ablate it, instead of the unit with the best finding.
    layer
        The layer of --unit, counted from 0; by default the last.
    out
        Write the text painted by the unit as an HTML page.
    """
    from unrolled.look.units.activations import Unit, check_unit
    from unrolled.look.units.scan import ablate, scan_units

    if out:
        check_out(out, [".html"], "a page")
    model = model_in(run)
    read = text_for(model, text, characters, reading)
    chosen = Unit(model.config.layers - 1 if layer is None else layer, unit) if unit is not None else None
    if chosen:
        check_unit(model.network, chosen)
    with messages().status("testing every unit"):
        scan = scan_units(model, read, seed=seed)
    if chosen is None and scan.convincing:
        chosen = scan.convincing[0].unit
    off = ablate(model, read, chosen) if chosen else None
    if out and off:
        _write_painted(model, read, off, scan, out)
    elif out:
        fail("no unit meets the rule, so no page was written: choose a unit with --unit")
    if json:
        print_json(asdict(scan) | {"silenced": asdict(off) if off else None})
        return
    _print_scan(scan)
    if off:
        if not out:
            _print_painted(model, read, off.unit)
        _print_ablation(off)


def state(
    run: Run,
    text: Words,
    *,
    layer: int | None = None,
    out: Picture = None,
    json: Json = False,
) -> None:
    """The hidden state over time: a heat map, and its path in the plane of two principal components.

    Parameters
    ----------
    text
        The text itself, up to 400 characters.
    layer
        Counted from 0; by default the last.
    out
        Write the heat map, .png or .svg.
    """
    from unrolled.look.units.states import draw_map, state_path

    check_picture(out)
    model = model_in(run)
    check_known(model, text)
    seen = state_path(model, text, layer)
    title = f"hidden state of {run.name}, layer {seen.layer}"
    if out:
        save_picture(draw_map(seen, title), out)
    if json:
        print_json(seen.to_json())
        return
    print(f"{title}: {seen.hidden.shape[1]} units over {len(text)} characters")
    print("the two main components explain {:.0%} and {:.0%} of the variance".format(*seen.explained))
    rows = [
        (visible(c), f"{x:7.2f}", f"{y:7.2f}", f"{step:6.2f}")
        for c, (x, y), step in zip(text, seen.path, seen.moves, strict=True)
    ]
    print_table(("after", "first", "second", "moved by"), rows)


def _print_memory(one: Memory) -> None:
    found = "no dependence found" if one.characters is None else f"memory {one.characters} characters"
    limit = " (the largest distance measured)" if one.characters == one.distance else ""
    print(f"{one.name}: {found}{limit}; {one.loss:.4f} nats per character at {one.probes:,} positions")


def _print_curve(curve: DistanceCurve) -> None:
    rows, block = [row for row in curve.rows() if abs(row[2]) >= SMALLEST], printable("█", "#")
    if not rows:
        print(f"  nothing of {SMALLEST} or more")
    top = max((mean for _, _, mean, _, _ in rows), default=0.0)
    for near, far, mean, low, high in rows:
        where = f"{near}" if near == far else f"{near}-{far}"
        bar = block * (round(40 * mean / top) if mean > 0 else 0)
        print(f"  {where:>8} {mean:9.5f}  [{low:9.5f} to {high:9.5f}]  {bar}".rstrip())


def _print_scan(scan: Scan) -> None:
    if not scan.convincing:
        print(f"no unit meets the rule on these {scan.characters:,} characters")
    else:
        rows = [
            (f.question, f"{f.unit.layer}:{f.unit.number}{'' if f.high else ' (low)'}", f"{f.auc:.3f}", f"{f.low:.3f}",
             f"{f.untrained:.3f}")
            for f in scan.convincing
        ]  # fmt: skip
        print_table(("question", "unit", "AUC", "lower end", "untrained"), rows)
    print(f"\nrule: {scan.rule}; {len(scan.findings)} questions were tested.")


def _print_painted(model: CharModel, text: str, unit: Unit) -> None:
    from unrolled.look.units.activations import record
    from unrolled.look.units.paint import limit_of, painted_text

    values = record(model, text).of(unit)
    print(f"\nthe end of the text, painted by {unit} (blue below zero, orange above):\n")
    results().print(painted_text(text[-PAINTED:], values[-PAINTED:], limit_of(values)))


def _print_ablation(off: Ablation) -> None:
    print(f"\nwith {off.unit} set to zero, the loss changes by {off.nats:+.4f} nats per character; most for:")
    rows = [(visible(w.character), f"{w.nats:+.4f}", f"{w.places:,}") for w in off.by_character[:WORST]]
    print_table(("character", "nats each", "positions"), rows)


def _write_painted(model: CharModel, text: str, off: Ablation, scan: Scan, out: Path) -> None:
    from unrolled.look.units.activations import record
    from unrolled.look.units.paint import painted_page

    found = [f"{f.question}{'' if f.high else ' (low there)'}" for f in scan.convincing if f.unit == off.unit]
    responds = ", ".join(found) or "nothing by the rule of the scan"
    note = f"Responds to: {responds}. Set to zero, the loss changes by {off.nats:+.4f} nats per character."
    write_file(out, painted_page(text, record(model, text).of(off.unit), f"{off.unit}".capitalize(), note).encode())
    say(f"written: {out}")

"""`unrolled ladder`: every rung on one text, in one table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from unrolled.cli.options import Encoding, Flag, Json, Listed, Seed, Texts
from unrolled.cli.output import messages, print_json, results
from unrolled.cli.showing import check_picture, save_picture
from unrolled.errors import InputError
from unrolled.learn.recipe import Machine

NATS_PER_BIT = math.log(2)

if TYPE_CHECKING:
    from unrolled.learn.experiments.ladder import Row


def ladder(
    *texts: Texts,
    protocol: Literal["honest", "lesson"] = "honest",
    rung: Annotated[Listed, Parameter(show_default=False)] = (),
    epochs: Annotated[float, Parameter(validator=Number(gt=0))] | None = None,
    minutes: Annotated[float, Parameter(validator=Number(gt=0))] | None = None,
    hidden: Annotated[int, Parameter(validator=Number(gte=1))] | None = None,
    seed: Seed = 0,
    machine: Annotated[Machine, Parameter(name="*", group="Machine")] = Machine(),  # noqa: B008 - frozen
    full: Annotated[bool, Flag] = False,
    tuned: Annotated[bool, Flag] = False,
    encoding: Encoding = "utf-8",
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Train every rung on one text.

    Parameters
    ----------
    protocol
        honest: the same contiguous split, recipe and characters seen for all. lesson: the published experiments at
        their own settings, with what their splits do to the figures.
    rung
        Train only these rungs, separated by commas.
    epochs
        Epochs for each rung (honest protocol); 2 if neither this nor --minutes is given.
    minutes
        Minutes for each rung instead, which compares rungs at equal time (honest protocol).
    hidden
        Hidden units (honest protocol).
    full
        Also run the lesson's longest experiment, which takes an hour or two.
    tuned
        Each rung at its own best learning rate, with three seeds: about six trainings instead of one.
    out
        Write a picture of the table, .png or .svg.
    """
    from dataclasses import replace

    from unrolled.learn.experiments.ladder import HONEST
    from unrolled.learn.experiments.ladder import ladder as rows_of
    from unrolled.look.experiments import draw_ladder

    check_picture(out)
    if protocol == "lesson" and (epochs or minutes or hidden or tuned):
        raise InputError(
            "the lesson's experiments have their own settings: leave out --epochs, --minutes, --hidden and --tuned"
        )
    budget = epochs if epochs or minutes else HONEST.epochs
    recipe = replace(HONEST, seed=seed, epochs=budget, minutes=minutes, hidden=hidden or HONEST.hidden)
    rows: list[Row] = []
    console = messages()
    with console.status("reading the text") as status:
        steps = rows_of(
            list(texts), protocol, rungs=rung, recipe=recipe, machine=machine, full=full, tuned=tuned,
            encoding=encoding,
            on_record=lambda name, record: status.update(f"{name}: step {record.step:,}, {record.smoothed:.3f} nats"),
        )  # fmt: skip
        for row in steps:
            rows.append(row)
            console.print(f"{row.rung}, {row.setting}: {row.validation_nats:.3f} nats", markup=False)
    if out:
        save_picture(draw_ladder(rows), out)
    if json:
        print_json({"protocol": protocol, "rows": [row.to_json() for row in rows]})
    else:
        _print(rows)


def _print(rows: list[Row]) -> None:
    """The table, without the columns that no row fills, and the remarks."""
    from rich.table import Table

    bits = 1 / NATS_PER_BIT
    columns = {
        "epochs": [_number(row.epochs, "g") for row in rows],
        "parameters": [_number(row.parameters, ",") for row in rows],
        "seconds": [_number(row.seconds, ",.0f") for row in rows],
        "nats": [_number(row.validation_nats) for row in rows],
        "bits": [_number(row.validation_bits) for row in rows],
    }
    optional = {
        "±": [_number(row.spread_nats, scale=bits / 2) for row in rows],
        "with counts": [_number(row.together_nats, scale=bits) for row in rows],
        "published": [_number(row.published_nats) for row in rows],
    }
    columns |= {name: cells for name, cells in optional.items() if any(cells)}
    table = Table("rung", "setting", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right")
    for row, *cells in zip(rows, *columns.values(), strict=True):
        table.add_row(row.rung, row.setting, *cells)
    results().print(table)
    remarks: dict[str, list[str]] = {}
    for row in rows:
        if row.remark:
            remarks.setdefault(row.remark, []).append(f"{row.rung} ({row.setting})")
    for remark, where in remarks.items():
        results().print(f"\n{', '.join(where)}: {remark}", markup=False)


def _number(value: float | None, form: str = ".3f", scale: float = 1) -> str:
    return "" if value is None else f"{value * scale:{form}}"

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
    from rich.table import Table

    table = Table("rung", "setting", box=None, pad_edge=False)
    published = any(row.published_nats is not None for row in rows)
    mixed = any(row.together_nats is not None for row in rows)
    spread = any(row.spread_nats is not None for row in rows)
    more = [*["±"] * spread, *["with counts"] * mixed, *["published"] * published]
    for name in ("epochs", "parameters", "seconds", "nats", "bits", *more):
        table.add_column(name, justify="right")
    remarks: dict[str, list[str]] = {}
    for row in rows:
        cells = [
            row.rung, row.setting, "" if row.epochs is None else f"{row.epochs:g}", _number(row.parameters),
            _number(row.seconds),
            f"{row.validation_nats:.3f}", f"{row.validation_bits:.3f}",
        ]  # fmt: skip
        if spread:
            cells.append("" if row.spread_nats is None else f"{row.spread_nats / 2 / NATS_PER_BIT:.3f}")
        if mixed:
            cells.append("" if row.together_nats is None else f"{row.together_nats / NATS_PER_BIT:.3f}")
        if published:
            cells.append("" if row.published_nats is None else f"{row.published_nats:.3f}")
        table.add_row(*cells)
        if row.remark:
            remarks.setdefault(row.remark, []).append(f"{row.rung} ({row.setting})")
    results().print(table)
    for remark, where in remarks.items():
        results().print(f"\n{', '.join(where)}: {remark}", markup=False)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"

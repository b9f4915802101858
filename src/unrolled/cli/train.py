"""`unrolled train` and `unrolled demo`: train on texts and report what happens."""

from __future__ import annotations

import contextlib
import math
import shlex
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from unrolled.cli.options import Flag, Json, Texts, Words, settings_type, unescaped
from unrolled.cli.output import messages, print_json, results, say
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.model.members import COUNTS

if TYPE_CHECKING:
    from rich.console import Console

    from unrolled.learn.distributed import World
    from unrolled.learn.loop import Record
    from unrolled.learn.session import Session
    from unrolled.learn.signals import Interrupt
    from unrolled.learn.summary import Summary
    from unrolled.model.char_model import CharModel
    from unrolled.model.folder import ModelParts
    from unrolled.text.encoded import EncodedText

NATS_PER_BIT = math.log(2)
DEMO_PROMPT, DEMO_START = "The value of the ", "The "
MAIN = Group("What matters most", sort_key=1)
TEXT, NETWORK, TRAINING = Group("Text", sort_key=2), Group("Network", sort_key=3), Group("Training", sort_key=4)
MACHINE, RUN = Group("Machine", sort_key=5), Group("Run", sort_key=6)
SHORT = 100_000
SHORT_TEXT = (
    "A text this short is learned better by a network that was first trained on similar ones (60 KB of English prose "
    "by 0.6 bits per character, 6 KB by 0.8): train on a longer text and start --from that run, or make a base once "
    "with unrolled make-base TEXT... and start --from base."
)
GROUPS = {
    MAIN: ("minutes", "records"),
    TEXT: ("label_column", "validation", "test", "hold_out", "min_count", "lower", "errors", "normalize", "mask"),
    NETWORK: ("rung", "hidden", "embedding", "layers", "nonlinearity", "dropout"),
}
"""The settings that `--help` shows under other headings than that of training."""
if TYPE_CHECKING:
    from unrolled.learn.recipe import RecipeSettings as Settings
else:
    Settings = settings_type(Recipe, GROUPS, rest=TRAINING)


@dataclass(frozen=True)
class ReadingOptions:
    """Which texts are held out, and how all are read."""

    valid: Words | None = None
    """A text to validate on, instead of the end of the text."""
    test_file: Words | None = None
    """A text to measure once, after training."""
    encoding: str | None = None
    """Encoding of the text files; UTF-8 if not given."""


def train(
    *texts: Texts,
    out: Annotated[Path, Parameter(group=MAIN)],
    settings: Annotated[Settings, Parameter(name="*")] | None = None,
    machine: Annotated[Machine, Parameter(name="*", group=MACHINE)] = Machine(),  # noqa: B008 - frozen
    resume: Annotated[bool, Flag, Parameter(group=RUN)] = False,
    start_from: Annotated[Path | None, Parameter(name="--from", group=RUN)] = None,
    reading: Annotated[ReadingOptions, Parameter(name="*", group=TEXT)] = ReadingOptions(),
    save_seconds: Annotated[float, Parameter(group=RUN)] = 300.0,
    json: Annotated[Json, Parameter(group=RUN)] = False,
) -> int:
    """Train a network on texts.

    Parameters
    ----------
    out
        The run folder to create.
    resume
        Continue the unfinished run in --out, or start it if there is none.
    start_from
        Start from the weights of this run; its vocabulary is extended by new characters. base: the network trained by
        unrolled make-base.
    save_seconds
        Seconds between checkpoints, in addition to those at every measurement.
    """
    started = time.perf_counter()  # before PyTorch is loaded, which counts too
    given: dict[str, Any] = dict(settings or {})
    if "records" in given:
        given["records"] = unescaped(given["records"])  # a separator such as '\\n\\n'
    request = Request(
        texts, out, Recipe(**given), machine, given=given, resume=resume, start_from=start_from,
        save_seconds=save_seconds, started=started, **vars(reading),
    )  # fmt: skip
    if request.recipe.rung == COUNTS:
        from unrolled.learn.count_text import count_text

        return _report(count_text(replace(request, on_text=_describe(messages())))[0], json)
    with messages().status("loading PyTorch"):
        from unrolled.learn.distributed import join_world

    with join_world() as world:
        console = messages(quiet=not world.is_main)
        if request.recipe.networks > 1:
            return _train_committee(request, world, console, json)
        session = _prepared(request, world, console)
        how = _how_to_resume(texts, out) if world.size == 1 else "with the same command of torchrun and --resume"
        code, finished = _trained(session, console, how)
    return _report(finished[0], json) if finished and world.is_main else code


def make_base(*texts: Texts, minutes: float = 30.0, resume: Annotated[bool, Flag] = False, json: Json = False) -> int:
    """Train a network on general texts, for short texts of the same language to start from: train --from base.

    It is kept in the cache folder (unrolled cache says where), until that folder is deleted.

    Parameters
    ----------
    minutes
        Time to train.
    resume
        Continue an unfinished one.
    """
    from unrolled.text.cache import base_folder

    return train(*texts, out=base_folder(), settings={"minutes": minutes, "with_": "none"}, resume=resume, json=json)


def _train_committee(request: Request, world: World, console: Console, json: bool) -> int:
    """The networks that are trained at once share a bar, that of the first of them."""
    from unrolled.learn.committee import CommitteeRun

    run = CommitteeRun(replace(request, notify=partial(say, console=console), on_text=_describe(console)), world)
    for group in run.groups():
        names = [f"network {len(run.models) + 1 + i} of {request.recipe.networks}" for i in range(len(group.sessions))]
        _watch(group.sessions, group.run(), console, [f"{name}: " for name in names])
        if code := _exit_code(group.interrupt):
            say(f"stopped in {' and '.join(names)}; continue with the same command and --resume", console)
            return code
    return _report(run.finish()[0], json)


def demo(*, out: Path | None = None, minutes: float = 1.0, seed: int = 0, json: Json = False) -> int:
    """Train the default network on Python's own reference manual for about a minute, then let it show what it learned.

    Parameters
    ----------
    out
        The run folder to create; unrolled-demo, or that name with a number, if not given.
    minutes
        Time to train.
    seed
        Random seed of the initial weights and of the generated text.
    """
    started = time.perf_counter()
    from unrolled.learn.distributed import World
    from unrolled.model.char_model import CharModel

    console = messages()
    out = out or next(path for i in count(1) if not (path := Path(f"unrolled-demo-{i}".removesuffix("-1"))).exists())
    request = Request(["python-docs"], out, Recipe(minutes=minutes, seed=seed), started=started)
    session = _prepared(request, World(), console)
    code, finished = _trained(session, console, _how_to_resume(("python-docs",), out))
    if finished is None:
        return code
    summary, model = finished
    found = _shown(session, summary, CharModel(model), out / "embedding.png", seed)
    print_json(found) if json else _print_demo(summary, found)
    return 0


def _shown(session: Session, summary: Summary, model: CharModel, picture: Path, seed: int) -> dict[str, Any]:
    """What the demo shows of a trained network, as its JSON object; draws the picture."""
    from unrolled.look.vectors.plot import plot_embedding

    plot_embedding(model.embedding, picture)
    alone = {baseline.name: baseline.bits for baseline in summary.baselines}
    return summary.to_json() | {
        "prompt": DEMO_PROMPT,
        "next": [{"character": character, "probability": p} for character, p in model.next(DEMO_PROMPT)],
        "text": DEMO_START + model.generate(DEMO_START, 400, temperature=0.7, seed=seed),
        "seed": seed,
        "gzip_bits": alone["gzip"],
        "xz_bits": alone["xz"],
        "picture": f"{picture}",
    }


def _print_demo(summary: Summary, found: dict[str, Any]) -> None:
    from unrolled.embedding import visible

    console = results()
    _print_summary(summary)
    console.print(f"\n[bold]The next character[/] after {found['prompt']!r}:")
    for row in found["next"][:8]:
        bar = "█" * round(40 * row["probability"])
        console.print(f"  {visible(row['character']):<3}{row['probability']:7.1%}  {bar}", markup=False)
    console.print(f"\n[bold]400 characters[/] after {DEMO_START!r}, temperature 0.7, seed {found['seed']}:\n")
    console.print(found["text"], markup=False)
    console.print(f"\nIts characters as vectors: {found['picture']}", markup=False)
    console.print(f"Use it: unrolled next {shlex.quote(found['run'])} 'for i in '", markup=False)


def _prepared(request: Request, world: World, console: Console) -> Session:
    """The session of `request`; what is done before its first step is shown."""
    from unrolled.learn.start import prepare

    try:
        with console.status("reading the text", refresh_per_second=4) as status:

            def on_text(text: EncodedText) -> None:
                _describe(console)(text)
                if len(text) < SHORT and request.start_from is None:
                    say(SHORT_TEXT, console)
                status.update("measuring how fast this machine is")

            return prepare(replace(request, notify=partial(say, console=console), on_text=on_text), world)
    except KeyboardInterrupt:
        say("stopped before the first step: nothing was written", console)
        raise SystemExit(130) from None


def _trained(session: Session, console: Console, how: str) -> tuple[int, tuple[Summary, ModelParts] | None]:
    """Train to the end and measure: exit code 0 and what came of it; or the code of the signal that stopped it."""
    with contextlib.closing(session):
        _watch([session], ((session, record) for record in session.run()), console, [""])
    if code := _exit_code(session.interrupt):
        say(f"stopped after step {session.state.progress.step:,}; continue {how}", console)
        return code, None
    try:
        return 0, session.finish()
    except KeyboardInterrupt:
        say(f"stopped during the last measurement; continue {how}", console)
        return 130, None


def _watch(
    sessions: Sequence[Session], steps: Generator[tuple[Session, Record]], console: Console, names: Sequence[str]
) -> None:
    """Take all steps of the sessions, showing progress under their names; the bar is that of the first."""
    bars = {id(session): _ProgressBar(console, session, name) for session, name in zip(sessions, names, strict=True)}
    with bars[id(sessions[0])], contextlib.closing(steps):
        for session, record in steps:
            bars[id(session)].show(record)


def _exit_code(interrupt: Interrupt | None) -> int:
    """0, or that of the signal that stopped training."""
    return 0 if interrupt is None or interrupt.signal is None else 128 + int(interrupt.signal)


class _ProgressBar:
    """A bar where stderr is a terminal, a plain line a measurement otherwise, and a sample line under each."""

    def __init__(self, console: Console, session: Session, name: str = "") -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.console, self.session, self.name = console, session, name
        self.losses: list[float] = []
        """of the steps since the last measurement"""
        self.bar = Progress(
            BarColumn(24),  # narrow, so that a window made smaller does not break it
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=session.state.plan.steps, completed=session.state.progress.step)
        session.on_measured = self.measuring

    def __enter__(self) -> _ProgressBar:
        self.bar.start()
        return self

    def __exit__(self, *details: object) -> None:
        with contextlib.suppress(OSError):  # the terminal may have closed
            self.bar.stop()

    def show(self, record: Record) -> None:
        """Take in one step. A closed terminal or a character it cannot show never stops training."""
        with contextlib.suppress(OSError, UnicodeError):
            self.bar.update(
                self.task,
                total=self.session.state.plan.steps,
                completed=record.step,
                description=f"{record.smoothed / NATS_PER_BIT:.3f} bits per character",
            )
            self.losses.append(record.loss)
            if record.remark:
                self.console.print(record.remark)
            if record.validation is not None:
                self._measured(record)

    def measuring(self, share: float) -> None:
        """Show how far a measurement is."""
        with contextlib.suppress(OSError, UnicodeError):
            self.bar.update(self.task, description=f"measuring, {share:.0%}")

    def _measured(self, record: Record) -> None:
        from unrolled.embedding import visible

        assert record.validation is not None
        epoch = record.step / self.session.task.steps_per_epoch
        train, validation = sum(self.losses) / len(self.losses) / NATS_PER_BIT, record.validation / NATS_PER_BIT
        self.losses.clear()
        remark = "" if record.is_best else " (not the best)"
        self.console.print(
            f"{self.name}epoch {epoch:5.2f} {record.seconds:6.0f} s   train {train:.3f}   "
            f"validation {validation:.3f} bits per character{remark}",
            soft_wrap=True,
        )
        self.console.print(f"      {visible(self.session.sample(60))}", markup=False, soft_wrap=True)


def _describe(console: Console) -> Callable[[EncodedText], None]:
    """Says what the text is like before anything is trained."""

    def describe(text: EncodedText) -> None:
        from unrolled.text.report.doctor import examine

        for line in examine(text).sentences():
            say(line, console)

    return describe


def _how_to_resume(texts: tuple[str, ...], out: Path) -> str:
    return f"with: {shlex.join(['unrolled', 'train', *texts, '--out', str(out), '--resume'])}"


def _report(summary: Summary, json: bool) -> int:
    print_json(summary.to_json()) if json else _print_summary(summary)
    return 0


def _print_summary(summary: Summary) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    what, weights = ("model", "n-grams") if summary.rung == COUNTS else ("network", "parameters")
    table.add_row(what, f"{summary.rung}, {summary.parameters:,} {weights}, {summary.vocabulary} symbols")
    table.add_row("read", f"{summary.characters_seen:,} characters in {summary.seconds:,.0f} s")
    table.add_row("best", f"at epoch {summary.best_epoch:.3g} of {summary.epochs:.3g}")
    for name in ("train", "validation", "test"):
        if loss := getattr(summary, name):
            table.add_row(name, f"{loss['bits']:.3f} bits per character ({loss['nats']:.4f} nats)")
    results().print(table)
    results().print(summary.mixing)
    if summary.baselines:
        _print_baselines(summary)
    if summary.run is not None:
        results().print(f"{'model':<12}{summary.run}", markup=False)


def _print_baselines(summary: Summary) -> None:
    from rich.table import Table

    table = Table("validation, bits per character", box=None, pad_edge=False)
    table.add_column("alone", justify="right")
    table.add_column("given the training part", justify="right")
    if summary.rung != COUNTS:
        table.add_row("network", "", f"{summary.validation['bits']:.3f}")
    for name, shown in (("networks", "all networks"), ("together", "with counts")):
        if nats := summary.members.get(name):
            table.add_row(shown, "", f"{nats / NATS_PER_BIT:.3f}")
    for baseline in summary.baselines:
        alone = "" if baseline.bits is None else f"{baseline.bits:.3f}"
        table.add_row(baseline.name, alone, f"{baseline.primed_bits:.3f}")
    results().print(table)
    results().print(summary.verdict, markup=False)

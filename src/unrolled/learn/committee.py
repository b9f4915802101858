"""A committee: several networks of one recipe but other seeds, trained within one budget, one a core at a time.

    run = CommitteeRun(...)
    for group in run.groups():          those that are not finished yet
        for session, record in group.run(): ...
    summary, model = run.finish()       the mean of their probabilities, with counts where that is better

Each network has a run folder of its own in `networks/` until the whole is written, so that an interrupted committee is
resumed where it was. One core each is faster than all cores for one after the other (docs/experiments.md).
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from unrolled.errors import FolderError, InputError
from unrolled.files import is_complete, remove_folder, write_into
from unrolled.learn.budget import Measuring
from unrolled.learn.build import read_text
from unrolled.learn.corpora import split_text
from unrolled.learn.distributed import World
from unrolled.learn.hardware import available, cores, running
from unrolled.learn.loop import Record
from unrolled.learn.mixing import mix
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.run_folder import NETWORKS
from unrolled.learn.session import Session
from unrolled.learn.signals import Interrupt
from unrolled.learn.start import DEFAULT_MINUTES, prepare
from unrolled.learn.summary import Summary, concluded, finished_files
from unrolled.model.folder import FILES, ModelParts, read_model
from unrolled.model.members import MIXTURE, Members
from unrolled.notices import Notice

SHORTEST = 0.01
"""Minutes for networks whose time is over before they begin."""


@dataclass
class SessionGroup:
    """Sessions that are trained side by side, each in a thread of its own on one core.

    Their steps keep pace, so that those of all come to the caller in one order, and nothing is trained while the caller
    has not asked for more. PyTorch computes outside of Python's lock: on two cores, two threads need for two steps 1.1
    to 1.4 times as long as one for one, as two processes do (docs/experiments.md).
    """

    sessions: list[Session]
    interrupt: Interrupt | None = None
    """Set when a signal ended `run` early."""

    def run(self) -> Generator[tuple[Session, Record], None, None]:
        """Train all to their ends, or to a signal; yields every step of each. If it is abandoned, all are closed."""
        with ExitStack() as stack:
            stack.enter_context(running(self.sessions[0].state.choice))
            interrupt = stack.enter_context(Interrupt())
            threads = self._threads(stack)
            steps = {i: session.run() for i, session in enumerate(self.sessions)}
            for session, thread in zip(self.sessions, threads, strict=True):
                session.interruptions = lambda: nullcontext(interrupt)
                stack.callback(lambda session, thread: thread.submit(session.close).result(), session, thread)
            while steps:
                asked = {i: threads[i].submit(next, own, None) for i, own in steps.items()}
                wait(asked.values())  # an error of one is raised when all are done
                for i, step in [(i, future.result()) for i, future in asked.items()]:
                    if step is None:
                        del steps[i]
                    else:
                        yield self.sessions[i], step
            if any(session.interrupt for session in self.sessions):
                self.interrupt = interrupt

    def finish(self) -> list[ModelParts]:
        """Finish all of them, side by side too: their models."""
        with ExitStack() as stack:
            threads = self._threads(stack)
            pairs = zip(self.sessions, threads, strict=True)
            finished = [thread.submit(session.finish) for session, thread in pairs]
            return [future.result()[1] for future in finished]

    def _threads(self, stack: ExitStack) -> list[ThreadPoolExecutor]:
        """One of each session: how PyTorch is set up belongs to a thread."""
        return [stack.enter_context(ThreadPoolExecutor(1)) for _ in self.sessions]


@dataclass
class CommitteeRun:
    """Raises InputError for several processes, FolderError for a folder that cannot be used."""

    request: Request
    world: World = field(default_factory=World)
    models: dict[int, ModelParts] = field(default_factory=dict)
    """Of the networks that are finished, by their numbers."""
    measuring: Measuring = field(default_factory=Measuring)
    """How much is measured at the end: no more than the budget of a network allowed for."""
    hidden: int | None = None
    """Units of all networks, once the first has them."""
    out: Path | None = field(init=False)

    def __post_init__(self) -> None:
        if self.world.size > 1:
            raise InputError("a committee is trained by one process: leave --networks out, or torchrun")
        self.out = None if self.request.out is None else Path(self.request.out)
        if self.out is None or not self.out.exists():
            return
        if not self.out.is_dir():
            raise FolderError(f"{self.out} is a file: choose an --out that is empty or new")
        names = {path.name for path in self.out.iterdir()}
        foreign = {name for name in names - {NETWORKS, MIXTURE, *FILES} if not name.endswith(".safetensors")}
        if is_complete(self.out) or foreign:
            raise FolderError(f"{self.out} holds a finished run or other files: choose an --out that is empty or new")
        if names and not self.request.resume:
            raise FolderError(f"{self.out} holds an unfinished committee: continue with --resume, or choose another")
        if names and not self.request.sources and self.request.text is None:
            raise InputError("a committee is resumed by its whole command: name its texts again")

    def groups(self) -> Iterator[SessionGroup]:
        """The networks that are not finished, by those that are trained at once.

        A group that was run to its end is finished by the next call; one that was interrupted ends the iteration.
        """
        width = abreast(self.request.recipe, self.request.machine)
        waiting = dict(enumerate(recipes(self.request.recipe)))
        for i in list(waiting):
            if (folder := self._folder(i)) is not None and is_complete(folder):
                self.models[i] = read_model(folder)
                self.hidden = self.models[i].config.hidden
                del waiting[i]
        machine = self.request.machine if width == 1 else replace(self.request.machine, threads=1)
        for start in range(0, len(waiting), width):
            started, minutes = time.perf_counter(), self.minutes_each(-(-(len(waiting) - start) // width))
            some = list(waiting.items())[start : start + width]
            sessions = [self._prepare(i, replace(recipe, minutes=minutes), machine, started) for i, recipe in some]
            budgets = [session.state.budget for session in sessions if session.state.budget is not None]
            for budget in budgets:  # what preparing the others took is spent by each
                budget.spent = max(each.spent for each in budgets)
            group = SessionGroup(sessions)
            yield group
            if group.interrupt is not None:
                return
            self.measuring = group.sessions[0].state.measuring
            self.models |= zip(dict(some), group.finish(), strict=True)

    def minutes_each(self, groups: int) -> float | None:
        """Of each of the `groups` that are left, with the measuring of all networks together, which each allows for."""
        recipe = self.request.recipe
        if recipe.epochs is not None:
            return None
        spent = (time.perf_counter() - self.request.started) / 60
        return max((recipe.minutes or DEFAULT_MINUTES) - spent, SHORTEST) / groups

    def _folder(self, i: int) -> Path | None:
        return None if self.out is None else self.out / NETWORKS / f"{i + 1}"

    def _prepare(self, i: int, recipe: Recipe, machine: Machine, started: float) -> Session:
        """The first one decides the size of all, and says what holds for all."""
        request = replace(
            self.request, out=self._folder(i), recipe=recipe, machine=machine, started=started,
            given=self.request.chosen - {"networks", "seed", "minutes", "epochs"},
        )  # fmt: skip
        if self.hidden is not None:
            request = replace(
                request, recipe=replace(recipe, hidden=self.hidden), given={*request.chosen, "hidden"},
                notify=self._warn, on_text=lambda text: None,
            )  # fmt: skip
        session = prepare(request)
        self.hidden = session.state.recipe.hidden
        return session

    def _warn(self, notice: Notice) -> None:
        if notice.is_warning:
            self.request.notify(notice)

    def finish(self) -> tuple[Summary, ModelParts]:
        """Measure the mean of all networks, alone and with counts, and write the model folder."""
        first, *others = (self.models[i] for i in sorted(self.models))
        text = read_text(self.request, self.world, first.vocabulary)
        text, cut = split_text(self.request.recipe, text)
        alone = replace(first, beside=Members(), training={})
        committee = replace(alone, beside=Members(tuple(model.weights for model in others)))
        mixed = mix(committee, text.ids, cut, self.request.recipe.with_, self.measuring.at_end)
        losses = first.training["losses"]
        judged = cut.sample(text.ids, "validation", self.measuring.at_end, text.vocabulary.boundary)
        found, verdict = mixed.compared(text, judged, self.measuring.window)
        members = {"network": losses["validation"]["nats"], "networks": mixed.network}
        members |= {name: nats for name, nats in mixed.to_json().items() if name != "network"}
        summary = Summary(
            run=self.out, rung=first.config.rung, characters=len(text), vocabulary=len(text.vocabulary),
            parameters=committee.parameters, train=losses["train"], validation=losses["validation"],
            characters_seen=sum(model.training["characters_seen"] for model in self.models.values()),
            seconds=self._seconds(),
            test=losses.get("test"), members=members, mixing=mixed.sentence,
            validation_characters=len(judged), epochs=first.training["epochs"],
            best_epoch=first.training["best_epoch"], baselines=found, verdict=verdict,
        )  # fmt: skip
        facts = first.training | {"recipe": self.request.recipe.to_json(), "members": members}
        model = concluded(mixed.model, text, cut, summary, self.request.sources, facts)
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            write_into(self.out, finished_files(model, text, cut))
            remove_folder(self.out / NETWORKS)
        return summary, model

    def _seconds(self) -> float:
        """Of training, those of networks that were trained at once counted once."""
        width = abreast(self.request.recipe, self.request.machine)
        each = [self.models[i].training["seconds"] for i in sorted(self.models)]
        return float(sum(max(each[start : start + width]) for start in range(0, len(each), width)))


def abreast(recipe: Recipe, machine: Machine) -> int:
    """How many networks are trained at once: one a core, or as many as the threads that were asked for leave room."""
    is_processor = available(machine.device) == "cpu"
    return min(recipe.networks, max(1, cores() // (machine.threads or 1))) if is_processor else 1


def recipes(recipe: Recipe) -> list[Recipe]:
    """The recipe of each network: another seed."""
    return [replace(recipe, seed=recipe.seed + i) for i in range(recipe.networks)]

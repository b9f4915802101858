"""A training session on a text: everything `fit` needs, watched over and finished.

    session = prepare(...)                     reads the text, chooses the machine, starts or resumes
    for record in session.run(): ...           trains; history and checkpoints are written meanwhile
    summary, model = session.finish()          measures the best weights once more and writes the model folder

Left out: printing (unrolled.cli), what a step is (learn.text_task), what a checkpoint holds (learn.checkpoint).
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from unrolled.learn.checkpoint import TrainingState
from unrolled.learn.hardware import describe, running
from unrolled.learn.loop import Optimizer, Record, fit
from unrolled.learn.mixing import mix
from unrolled.learn.networks.network import parts_of
from unrolled.learn.run_folder import Run
from unrolled.learn.signals import Interrupt, Interrupted
from unrolled.learn.summary import Summary, concluded, finished_files
from unrolled.learn.text_task import TextTask
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelParts
from unrolled.notices import Notice
from unrolled.text.encoded import EncodedText
from unrolled.text.sample import Sample

HISTORY_ENTRIES = 200  # training losses kept of a whole run: enough for a curve
RELEASE_STEPS = 200
FLAT = 0.005
"""Share of the loss: where half of the training gains less, more of it would not help."""
LONG_MEASUREMENT = 5_000_000  # characters from which on the last measurement is announced


@dataclass
class Session:
    """See the top of this file; made by `unrolled.learn.start.prepare`."""

    text: EncodedText
    task: TextTask
    optimizer: Optimizer
    state: TrainingState
    """What a checkpoint holds; of its tensors, only `best` is kept up to date between checkpoints."""
    run_folder: Run | None = None
    save_seconds: float = 300.0
    """Seconds between checkpoints, beside those at every measurement."""
    interrupt: Interrupt | None = None
    """Set when a signal ended `run` early."""
    on_measured: Callable[[float], None] = lambda share: None
    """Told the share of a measurement that is done, again and again."""
    clock: Callable[[], float] = time.perf_counter
    """What a budget of minutes is kept by."""
    interruptions: Callable[[], AbstractContextManager[Interrupt]] = Interrupt
    """Watches for signals while it runs."""
    _mark: float = field(default=0.0, init=False, repr=False)
    """The clock when `_passed` was last called."""
    _running: weakref.ref[Generator[Record, None, None]] | None = field(default=None, repr=False)

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return sum(parameter.numel() for parameter in self.task.network.parameters())

    def run(self) -> Iterator[Record]:
        """Train to the end, or to a signal; yields every step. Checkpoints hold all that the next step depends on.

        While it runs, signals ask it to stop. If iteration is abandoned, it is closed by `close`, by `finish`, by the
        next `run`, and by Python once nothing refers to it.
        """
        self.close()
        steps = self._steps()
        self._running = weakref.ref(steps)
        return steps

    def close(self) -> None:
        """End a `run` whose iteration was abandoned: signals and threads are again as they were before it."""
        if self._running is not None and (steps := self._running()) is not None:
            steps.close()

    def _steps(self) -> Generator[Record, None, None]:
        with running(self.state.choice), self.interruptions() as interrupt:
            if self.state.progress.step == 0:
                self.save()  # a folder that cannot be written shows at once, not after an hour
            if self.task.world.size > 1:
                self.task.rehearse(self.state.progress.step)
            self.task.on_chunk = lambda share: self._watch_measurement(interrupt, share)
            try:
                yield from self._train(interrupt)
            except Interrupted:
                self.save()  # resumed with the measurement
                self.interrupt = interrupt
            finally:
                self.task.on_chunk = lambda share: None

    def _train(self, interrupt: Interrupt) -> Generator[Record, None, None]:
        """The steps of one plan after the other."""
        self._mark, saved = self.clock(), time.perf_counter()
        while self.state.progress.step < self.state.plan.steps or self.state.progress.is_due:
            plan = self.state.plan
            for record in fit(self.task, self.optimizer, plan, self.state.progress):
                self._note(record)
                self._replan(record)
                late = time.perf_counter() - saved > self.save_seconds
                stop, late = self.task.world.any_of(bool(interrupt), late)
                is_saved = record.validation is not None or stop or late or self.state.plan is not plan
                if is_saved:
                    self.save()
                    saved = time.perf_counter()
                if record.validation is not None or record.step % RELEASE_STEPS == 0:
                    self.text.release()
                yield record
                if is_saved and self.state.budget is not None:
                    self.state.budget.count_pause(self._passed(), record.validation is not None)
                if stop and record.step < self.state.plan.steps:
                    self.interrupt = interrupt
                    return
                if self.state.plan is not plan:
                    break

    def _watch_measurement(self, interrupt: Interrupt, share: float) -> None:
        if self.task.world.any(bool(interrupt)):
            raise Interrupted
        self.on_measured(share)

    def _passed(self) -> float:
        """Seconds since the last call, the mean over the processes: they must come to the same decisions."""
        now = self.clock()
        passed, self._mark = now - self._mark, now
        return self.task.world.mean(passed)

    def _replan(self, record: Record) -> None:
        """Change the number of steps where the clock or the patience asks for it."""
        plan, budget = self.state.plan, self.state.budget
        if budget is not None:
            budget.count(self._passed(), record.validation is not None)
            self.state.plan = budget.revised(plan, record.step)
        if self._is_out_of_patience(record):
            self.state.plan = replace(plan, steps=record.step)
            measurements = f"{self.state.recipe.patience} measurements"
            self.task.notify(Notice(f"training ends after step {record.step:,}: no better figure in {measurements}"))

    def _is_out_of_patience(self, record: Record) -> bool:
        patience, best = self.state.recipe.patience, self.state.progress.best_step
        if patience is None or record.validation is None or record.step == self.state.plan.steps:
            return False
        since = [entry for entry in self.state.history if "validation" in entry and entry["step"] > best]
        return len(since) >= patience

    def sample(self, length: int) -> str:
        """What the network writes at this moment, from the start of a line, or records until `length` is reached."""
        model = CharModel(self._model())
        if model.vocabulary.boundary is not None:
            return "\n".join(model.records(1 + length // 20, temperature=0.7, length=length))[:length]
        characters = self.text.vocabulary.characters
        return model.generate("\n" if "\n" in characters else characters[0], length, temperature=0.7, seed=0)

    def save(self) -> None:
        """Write a checkpoint, by the main process alone; the others hand it the states of their streams."""
        carried = self.task.gathered()
        if self.task.world.is_main and self.run_folder is not None:
            state = replace(
                self.state, network=self.task.network.state_dict(), optimizer=self.optimizer.state_dict(),
                carried=carried, micro_batches=self.task.micro_batches, best=self._best_to_store(),
            )  # fmt: skip
            files = self._model().to_files() | state.to_files()
            self.run_folder.checkpoints.save(self.state.progress.step, files, self.state.progress.best_step)
            self.run_folder.write_history(self.state.history)
        self.task.world.barrier()

    def finish(self, *, with_baselines: bool = True) -> tuple[Summary, ModelParts]:
        """Put back the best weights, measure them beside the baselines, write the model folder.

        A network of a committee is measured alone: counts and baselines belong to all of them together.
        """
        self.close()
        if self.state.best is not None:
            self.task.network.load_state_dict(self.state.best)
        self._remark_on_curve()
        self._announce_measurement()
        model, mixed = self._model(), None
        judged, measuring = self._judged("validation"), self.state.measuring
        with running(self.state.choice):
            train = self.task.loss(self.task.sample("train", measuring.train_sample))
            validation = self.task.loss(judged)
            test = self.task.loss(self._judged("test")) if len(self.task.split.test) else None
            if self.state.recipe.networks == 1:
                mixed = mix(model, self.text.ids, self.task.split, self.state.recipe.with_, measuring.at_end)
                model = mixed.model
        is_compared = with_baselines and self.task.world.is_main  # the others wait for it to write the model
        found, verdict = mixed.compared(self.text, judged, measuring.window) if mixed and is_compared else ((), "")
        per_epoch = self.task.steps_per_epoch
        summary = Summary(
            run=self.run_folder.path if self.run_folder else None,
            rung=self.state.recipe.rung,
            characters=len(self.text.ids),
            vocabulary=len(self.text.vocabulary),
            parameters=self.parameters,
            characters_seen=self.task.characters_seen(self.state.progress.step),
            seconds=self.state.progress.seconds,
            train=train.to_json(),
            validation=validation.to_json(),
            test=test.to_json() if test else None,
            members=mixed.to_json() if mixed else {"network": validation.nats},
            mixing=mixed.sentence if mixed else "",
            validation_characters=validation.characters,
            epochs=self.state.progress.step / per_epoch,
            best_epoch=self.state.progress.best_step / per_epoch,
            baselines=found,
            verdict=verdict,
        )
        model = concluded(model, self.text, self.task.split, summary, self.state.sources, self._facts(summary))
        self._write(model)
        return summary, model

    def _remark_on_curve(self) -> None:
        """Report where the second half of the steps has improved the validation loss by next to nothing."""
        measured = [(entry["step"], entry["validation"]) for entry in self.state.history if "validation" in entry]
        half = self.state.progress.step / 2
        first = [loss for step, loss in measured if step <= half]
        if len(measured) >= 4 and first and min(loss for _, loss in measured) > (1 - FLAT) * min(first):
            sentence = f"the second half of the training gained less than {FLAT:.1%}: training longer will hardly help"
            self.task.notify(Notice(sentence))

    def _announce_measurement(self) -> None:
        cut = self.task.split
        size, judged = len(cut.validation), len(self._judged("validation"))
        if judged < size:
            sentence = (
                f"there is time to measure {judged:,} of the {size:,} validation characters: pieces from all over "
                "that part, so the figures are approximate"
            )
            self.task.notify(Notice(sentence))
        elif size + len(cut.test) > LONG_MEASUREMENT:
            self.task.notify(Notice(f"measuring the best weights on {size + len(cut.test):,} characters"))

    def _judged(self, part: str) -> Sample:
        """What is measured of a part at the end, by whatever measures it."""
        return self.task.sample(part, self.state.measuring.at_end)

    def _write(self, model: ModelParts) -> None:
        if self.task.world.is_main and self.run_folder is not None:
            self.run_folder.write_history(self.state.history)
            self.run_folder.finish(finished_files(model, self.text, self.task.split))
            self.run_folder.discard()
        self.task.world.barrier()

    def _note(self, record: Record) -> None:
        every = max(1, self.state.plan.steps // HISTORY_ENTRIES)
        if record.validation is not None or record.remark or record.step % every == 0:
            self.state.history.append({key: value for key, value in asdict(record).items() if value is not None})
        if record.is_best:
            state = self.task.network.state_dict()
            self.state.best = {name: value.detach().clone() for name, value in state.items()}

    def _model(self) -> ModelParts:
        return parts_of(self.task.network, self.text.vocabulary)

    def _facts(self, summary: Summary) -> dict[str, Any]:
        """What `training.json` says of a network beside the text and the figures."""
        return {
            "split": {name: self.task.split.bounds(name) for name in ("train", "mixing", "validation", "test")},
            "recipe": self.state.recipe.to_json(),
            "machine": asdict(self.state.choice) | describe(self.state.choice.device),
            "steps": self.state.progress.step,
            "best_step": self.state.progress.best_step,
            "epochs": summary.epochs,
            "best_epoch": summary.best_epoch,
            "members": summary.members,
            "baselines": [asdict(baseline) for baseline in summary.baselines],
        }

    def _best_to_store(self) -> dict[str, Tensor] | None:
        """The best weights, unless they lie in a checkpoint of their own, as they do unless the disk refused it."""
        step, run = self.state.progress.best_step, self.run_folder
        is_stored = step == self.state.progress.step or (run is not None and run.checkpoints.is_whole(step))
        return None if is_stored else self.state.best

"""A training session on a text: everything `fit` needs, watched over and finished.

    session = prepare(...)                     reads the text, chooses the machine, starts or resumes
    for record in session.run(): ...           trains; history and checkpoints are written meanwhile
    summary, model = session.finish()          measures the best weights once more and writes the model folder

Left out: printing (unrolled.cli), what a step is (learn.stream_task), what a checkpoint holds (learn.checkpoint).
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
import safetensors.torch
from torch import Tensor

from unrolled.learn.checkpoint import TrainingState
from unrolled.learn.hardware import describe, running
from unrolled.learn.loop import Optimizer, Record, fit
from unrolled.learn.mixing import mix
from unrolled.learn.run_folder import Run
from unrolled.learn.signals import Interrupt, interruptions
from unrolled.learn.stream_task import StreamTask
from unrolled.learn.summary import Summary
from unrolled.model.char_model import CharModel
from unrolled.model.folder import SNAPSHOTS, ModelParts
from unrolled.notices import Notice
from unrolled.text.encoded import EncodedText

HISTORY_ENTRIES = 200  # training losses kept of a whole run: enough for a curve
TRAIN_SAMPLE = 100_000  # characters of the training part that are measured at the end
RELEASE_STEPS = 200
LONG_MEASUREMENT = 5_000_000  # characters from which on the last measurement is announced


@dataclass
class Session:
    """See the top of this file; made by `unrolled.learn.train.prepare`."""

    text: EncodedText
    task: StreamTask
    optimizer: Optimizer
    state: TrainingState
    """What a checkpoint holds; of its tensors, only `best` and `embeddings` are kept up to date between checkpoints."""
    run_folder: Run | None = None
    save_seconds: float = 300.0
    """Seconds between checkpoints, beside those at every measurement."""
    interrupt: Interrupt | None = None
    """Set when a signal ended `run` early."""
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def _steps(self) -> Generator[Record, None, None]:
        saved = time.perf_counter()
        with running(self.state.choice), interruptions() as interrupt:
            if self.state.progress.step == 0:
                self._snapshot()
                self.save()  # a folder that cannot be written shows at once, not after an hour
            if self.task.world.size > 1:
                self.task.rehearse(self.state.progress.step)
            for record in fit(self.task, self.optimizer, self.state.plan, self.state.progress):
                self._note(record)
                stop, due = self.task.world.any_of(bool(interrupt), time.perf_counter() - saved > self.save_seconds)
                if record.validation is not None or stop or due:
                    self.save()
                    saved = time.perf_counter()
                if record.validation is not None or record.step % RELEASE_STEPS == 0:
                    self.text.release()
                yield record
                if stop and record.step < self.state.plan.steps:
                    self.interrupt = interrupt
                    return

    def sample(self, length: int) -> str:
        """What the network writes at this moment, from the start of a line."""
        model = CharModel(self._model({}))
        characters = self.text.vocabulary.characters
        return model.generate("\n" if "\n" in characters else characters[0], length, temperature=0.7, seed=0)

    def save(self) -> None:
        """Write a checkpoint, by the main process alone; the others hand it the states of their streams."""
        carried = [self.task.world.gather(part) for part in self.task.carried or ()]
        if self.task.world.is_main and self.run_folder is not None:
            files = self._model({}).to_files() | self._state(carried).to_files()
            self.run_folder.checkpoints.save(self.state.progress.step, files, self.state.progress.best_step)
            self.run_folder.write_history(self.state.history)
        self.task.world.barrier()

    def _state(self, carried: list[Tensor]) -> TrainingState:
        return replace(
            self.state,
            network=self.task.network.state_dict(),
            optimizer=self.optimizer.state_dict(),
            carried=carried,
            micro_batches=self.task.micro_batches,
            best=self._best_to_store(),
        )

    def finish(self) -> tuple[Summary, ModelParts]:
        """Put back the best weights, measure them, write the model folder."""
        self.close()
        if self.state.best is not None:
            self.task.network.load_state_dict(self.state.best)
        start, end = self.task.bounds("train")
        measured = len(self.task.split.validation) + len(self.task.split.test)
        if measured > LONG_MEASUREMENT:
            self.task.notify(Notice(f"measuring the best weights on {measured:,} characters"))
        with running(self.state.choice):
            train = self.task.loss(max(start, end - TRAIN_SAMPLE), end)
            validation = self.task.loss(*self.task.bounds("validation"))
            test = self.task.loss(*self.task.bounds("test")) if len(self.task.split.test) else None
        model = self._model({})
        mixed = mix(model, self.text.ids, self.task.split, self.state.recipe.with_)
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
            members=mixed.to_json(),
            mixing=mixed.sentence,
        )
        model = replace(mixed.model, training=self._training(summary))
        self._write(model)
        return summary, model

    def _write(self, model: ModelParts) -> None:
        if self.task.world.is_main and self.run_folder is not None:
            path = {f"{i:04d}": vectors for i, vectors in enumerate(self.state.embeddings)}
            files = model.to_files() | {SNAPSHOTS: safetensors.torch.save(path)}
            self.run_folder.write_history(self.state.history)
            self.run_folder.finish(files)
            self.run_folder.discard()
        self.task.world.barrier()

    def _note(self, record: Record) -> None:
        every = max(1, self.state.plan.steps // HISTORY_ENTRIES)
        if record.validation is not None or record.remark or record.step % every == 0:
            self.state.history.append({key: value for key, value in asdict(record).items() if value is not None})
        if record.validation is not None:
            self._snapshot()
        if record.is_best:
            state = self.task.network.state_dict()
            self.state.best = {name: value.detach().clone() for name, value in state.items()}

    def _snapshot(self) -> None:
        self.state.embeddings.append(self.task.network.embedding.weight.detach().float().cpu().clone())

    def _model(self, training: dict[str, Any]) -> ModelParts:
        state = self.task.network.state_dict()
        weights: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {
            name: value.detach().float().cpu().numpy() for name, value in state.items()
        }
        return ModelParts(self.task.network.config, self.text.vocabulary, weights, training)

    def _training(self, summary: Summary) -> dict[str, Any]:
        return {
            "corpus": {"sha256": self.text.sha256, "characters": len(self.text.ids), "sources": self.state.sources},
            "split": {name: self.task.bounds(name) for name in ("train", "mixing", "validation", "test")},
            "recipe": self.state.recipe.to_json(),
            "machine": asdict(self.state.choice) | describe(self.state.choice.device),
            "steps": self.state.progress.step,
            "best_step": self.state.progress.best_step,
            "losses": {
                key: value for key, value in summary.to_json().items() if key in ("train", "validation", "test")
            },
            "members": summary.members,
            "seconds": round(summary.seconds, 1),
            "characters_seen": summary.characters_seen,
        }

    def _best_to_store(self) -> dict[str, Tensor] | None:
        """The best weights, unless they lie in a checkpoint of their own, as they do unless the disk refused it."""
        step, run = self.state.progress.best_step, self.run_folder
        is_stored = step == self.state.progress.step or (run is not None and run.checkpoints.is_whole(step))
        return None if is_stored else self.state.best

"""A training session on a text: everything `fit` needs, put together, resumed, watched over and finished.

    session = prepare(...)              reads the text, chooses the machine, makes or resumes the network
    for record in session.run(): ...    trains; history and checkpoints are kept on the way
    summary = session.finish()          measures the best weights once more and writes the model folder

Left out: printing (unrolled.cli), and what a step is (learn.text_task).
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors.torch
from torch import Tensor

from unrolled.errors import FolderError
from unrolled.files import read_folder
from unrolled.learn.checkpoint import pack
from unrolled.learn.distributed import World
from unrolled.learn.hardware import Choice, describe, running
from unrolled.learn.loop import Optimizer, Plan, Progress, Record, fit
from unrolled.learn.recipe import Recipe
from unrolled.learn.run_folder import Run
from unrolled.learn.signals import Interrupt, interruptions
from unrolled.learn.stream_task import TextTask
from unrolled.model.char_model import CharModel
from unrolled.model.folder import SNAPSHOTS, ModelParts
from unrolled.text.encoded import EncodedText
from unrolled.text.vocabulary import Vocabulary

HISTORY_ENTRIES = 200  # training losses kept of a whole run: enough for a curve
TRAIN_SAMPLE = 100_000  # characters of the training part that are measured at the end
RELEASE_STEPS = 200
LONG_MEASUREMENT = 5_000_000  # characters from which on the last measurement is announced
STATE_FORMAT = 1
STATE_KEYS = frozenset((
    "format", "network", "optimizer", "carried", "progress", "plan", "parts", "recipe", "asked", "choice", "world",
    "machine", "corpus", "vocabulary", "started_from", "sources", "encoding", "history", "embeddings", "best",
))  # fmt: skip
"""What a checkpoint of this format holds."""


@dataclass(frozen=True)
class Summary:
    """What came of a run; `to_json` is the object that `unrolled train --json` prints."""

    run: Path | None
    rung: str
    characters: int
    vocabulary: int
    parameters: int
    characters_seen: int
    seconds: float
    train: dict[str, float]
    validation: dict[str, float]
    test: dict[str, float] | None

    def to_json(self) -> dict[str, Any]:
        """JSON object; losses are `{"nats", "bits"}` per character, `test` only where there is a test part."""
        content = asdict(self) | {"run": None if self.run is None else str(self.run)}
        return {key: value for key, value in content.items() if key != "test" or value is not None}


@dataclass
class Session:
    """See the top of this file; made by `unrolled.learn.train.prepare`."""

    recipe: Recipe
    choice: Choice
    text: EncodedText
    task: TextTask
    optimizer: Optimizer
    plan: Plan
    world: World
    run_folder: Run | None = None
    save_seconds: float = 300.0
    """Seconds between checkpoints, beside those at every measurement."""
    sources: list[str] = field(default_factory=list)
    encoding: str = "utf-8"
    asked: Recipe | None = None
    """The recipe as it was given; `recipe` is what the text and the model to start from made of it."""
    started_from: Vocabulary | None = None
    """The vocabulary of the model that the run was started from."""
    progress: Progress = field(default_factory=Progress)
    history: list[dict[str, Any]] = field(default_factory=list)
    embeddings: list[Tensor] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    interrupt: Interrupt | None = None
    """Set when a signal ended `run` early."""
    _running: weakref.ref[Generator[Record, None, None]] | None = field(default=None, repr=False)

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return sum(parameter.numel() for parameter in self.task.network.parameters())

    def run(self) -> Iterator[Record]:
        """Train to the end, or to a signal; yields every step. Checkpoints hold all that the next step depends on.

        While it runs, signals ask it to stop. One that is left before its end is closed by `close`, by `finish`, by the
        next `run`, and by Python once nothing refers to it.
        """
        self.close()
        steps = self._steps()
        self._running = weakref.ref(steps)
        return steps

    def close(self) -> None:
        """End a `run` that was left before its end: signals and threads are again as they were before it."""
        if self._running is not None and (steps := self._running()) is not None:
            steps.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def _steps(self) -> Generator[Record, None, None]:
        saved = time.perf_counter()
        with running(self.choice), interruptions() as interrupt:
            if self.progress.step == 0:
                self._snapshot()
                self.save()  # a folder that cannot be written shows at once, not after an hour
            if self.world.size > 1:
                self.task.rehearse(self.progress.step)
            for record in fit(self.task, self.optimizer, self.plan, self.progress):
                self._note(record)
                stop, due = self.world.any_of(bool(interrupt), time.perf_counter() - saved > self.save_seconds)
                if record.validation is not None or stop or due:
                    self.save()
                    saved = time.perf_counter()
                if record.validation is not None or record.step % RELEASE_STEPS == 0:
                    self.text.release()
                yield record
                if stop and record.step < self.plan.steps:
                    self.interrupt = interrupt
                    return

    def sample(self, length: int) -> str:
        """What the network writes at this moment, from the start of a line."""
        model = CharModel(self._parts(self._weights(), {}))
        characters = self.text.vocabulary.characters
        return model.generate("\n" if "\n" in characters else characters[0], length, temperature=0.7, seed=0)

    def save(self) -> None:
        """Write a checkpoint, by the main process alone; the others hand it the states of their streams."""
        carried = [self.world.gather(part) for part in self.task.carried or ()]
        if self.world.is_main and self.run_folder is not None:
            files = self._parts(self._weights(), {}).to_files() | pack(self._state(carried))
            self.run_folder.checkpoints.save(self.progress.step, files, self.progress.best_step)
            self.run_folder.write_history(self.history)
        self.world.barrier()

    def finish(self) -> tuple[Summary, ModelParts]:
        """Put back the best weights, measure them, write the model folder."""
        self.close()
        if self.best is not None:
            self.task.network.load_state_dict(self.best)
        start, end = self.task.bounds("train")
        measured = len(self.task.split.validation) + len(self.task.split.test)
        if measured > LONG_MEASUREMENT:
            self.task.warn(f"measuring the best weights on {measured:,} characters")
        with running(self.choice):
            train = self.task.loss(max(start, end - TRAIN_SAMPLE), end)
            validation = self.task.loss(*self.task.bounds("validation"))
            test = self.task.loss(*self.task.bounds("test")) if len(self.task.split.test) else None
        summary = Summary(
            run=self.run_folder.path if self.run_folder else None,
            rung=self.recipe.rung,
            characters=len(self.text.ids),
            vocabulary=len(self.text.vocabulary),
            parameters=self.parameters,
            characters_seen=self.task.characters_seen(self.progress.step),
            seconds=self.progress.seconds,
            train=train.to_json(),
            validation=validation.to_json(),
            test=test.to_json() if test else None,
        )
        parts = self._parts(self._weights(), self._training(summary))
        self._write(parts)
        return summary, parts

    def _write(self, parts: ModelParts) -> None:
        if self.world.is_main and self.run_folder is not None:
            path = {f"{i:04d}": vectors for i, vectors in enumerate(self.embeddings)}
            files = parts.to_files() | {SNAPSHOTS: safetensors.torch.save(path)}
            self.run_folder.write_history(self.history)
            self.run_folder.finish(files)
            self.run_folder.discard()
        self.world.barrier()

    def _note(self, record: Record) -> None:
        every = max(1, self.plan.steps // HISTORY_ENTRIES)
        if record.validation is not None or record.remark or record.step % every == 0:
            self.history.append({key: value for key, value in asdict(record).items() if value is not None})
        if record.validation is not None:
            self._snapshot()
        if record.is_best:
            state = self.task.network.state_dict()
            self.best = {name: value.detach().clone() for name, value in state.items()}

    def _snapshot(self) -> None:
        self.embeddings.append(self.task.network.embedding.weight.detach().float().cpu().clone())

    def _weights(self) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
        state = self.task.network.state_dict()
        return {name: value.detach().float().cpu().numpy() for name, value in state.items()}

    def _parts(self, weights: dict[str, Any], training: dict[str, Any]) -> ModelParts:
        return ModelParts(self.task.network.config, self.text.vocabulary, weights, training)

    def _training(self, summary: Summary) -> dict[str, Any]:
        return {
            "corpus": {"sha256": self.text.sha256, "characters": len(self.text.ids), "sources": self.sources},
            "split": {name: self.task.bounds(name) for name in ("train", "validation", "test")},
            "recipe": self.recipe.to_json(),
            "machine": asdict(self.choice) | describe(self.choice.device),
            "steps": self.progress.step,
            "best_step": self.progress.best_step,
            "losses": {
                key: value for key, value in summary.to_json().items() if key in ("train", "validation", "test")
            },
            "seconds": round(summary.seconds, 1),
            "characters_seen": summary.characters_seen,
        }

    def _state(self, carried: list[Tensor]) -> dict[str, Any]:
        """Keep `STATE_KEYS` in step with it, and count up `STATE_FORMAT` when a key changes its meaning."""
        return {
            "format": STATE_FORMAT,
            "network": self.task.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "carried": carried,
            "progress": asdict(self.progress),
            "plan": asdict(self.plan),
            "parts": self.task.parts,
            "recipe": self.recipe.to_json(),
            "asked": (self.asked or self.recipe).to_json(),
            "choice": asdict(self.choice),
            "world": self.world.size,
            "machine": describe(self.choice.device),
            "corpus": self.text.sha256,
            "vocabulary": list(self.text.vocabulary.characters),
            "started_from": None if self.started_from is None else self.started_from.to_json(),
            "sources": self.sources,
            "encoding": self.encoding,
            "history": self.history,
            "embeddings": self.embeddings,
            "best": None if self._best_is_stored() else self.best,
        }

    def _best_is_stored(self) -> bool:
        """Whether the best weights lie in a checkpoint of their own, as they do unless the disk refused it."""
        step, run = self.progress.best_step, self.run_folder
        return step == self.progress.step or (run is not None and run.checkpoints.is_whole(step))

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up the state of a checkpoint. Raises FolderError if it is not that of such a network."""
        try:
            self._restore(state)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
            raise FolderError(f"the checkpoint does not fit this run: {error}") from error

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.task.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        device = self.task.network.head.weight.device
        self.task.carried = tuple(part[self.task.own_streams].to(device) for part in state["carried"]) or None
        self.task.parts = state["parts"]
        self.progress = Progress(**state["progress"])
        self.plan = Plan(**state["plan"])
        self.history, self.embeddings = state["history"], state["embeddings"]
        if self.progress.best_step > 0:
            self.best = state["best"] or self._stored_best()

    def _stored_best(self) -> dict[str, Tensor] | None:
        """The best weights so far, from their own checkpoint; without one, the next measurement begins anew."""
        data = self.world.from_main(self._read_best() if self.world.is_main else None)
        if data is None:
            self.progress.best, self.progress.best_step = math.inf, 0
            return None
        return {name: value.to(self.choice.dtype) for name, value in safetensors.torch.load(data).items()}

    def _read_best(self) -> bytes | None:
        assert self.run_folder is not None
        try:
            return read_folder(self.run_folder.checkpoints.path(self.progress.best_step))["model.safetensors"]
        except FolderError as error:
            self.task.warn(f"{error}: the best weights so far are lost, the best from here on take their place")
            return None

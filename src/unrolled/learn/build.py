"""What starting and resuming a run share: reading the text, and the building of network, task and optimizer."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from unrolled.errors import InputError
from unrolled.learn import mixing
from unrolled.learn.budget import Timing
from unrolled.learn.corpora import corpus_of
from unrolled.learn.distributed import World
from unrolled.learn.hardware import Choice, choose, cores, running
from unrolled.learn.initialization import start_well
from unrolled.learn.loop import steps_within
from unrolled.learn.networks.dropout import Dropout
from unrolled.learn.networks.network import CharNetwork, parts_of
from unrolled.learn.optimizers import Optimizers, build_optimizer
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.record_task import RecordTask
from unrolled.learn.request import Request
from unrolled.learn.sampled_softmax import ABOVE, SampledSoftmax
from unrolled.learn.stream_task import StreamTask
from unrolled.learn.text_task import TextTask
from unrolled.model.folder import ModelConfig
from unrolled.notices import Notify
from unrolled.text.encoded import EncodedText, encode_corpus
from unrolled.text.records import known_boundary
from unrolled.text.report import baselines
from unrolled.text.sample import PIECES
from unrolled.text.vocabulary import Vocabulary
from unrolled.text.windows import Split, streams

TRIAL_SECONDS = 0.5
HOPELESS = 4
"""Times the fastest choice so far, beyond which the first step of another is enough to know."""
TRIAL_CHARACTERS, TRIAL_LOGITS = 8192, 1 << 25
"""Read to find out how long a measurement takes, at most."""
DROPOUT = ((2.5, 0.0), (5.0, 0.1), (8.0, 0.2), (math.inf, 0.3))
"""(epochs below, share): a text read twice is not memorised, one that is read more often would be. Beyond, wide
networks drop 0.1 more. Measured in docs/experiments.md."""
EMBEDDING_DROPOUT = 4
"""How many times less of the embedding is dropped than of a layer's outputs."""


def read_text(request: Request, world: World, known: Vocabulary | None) -> EncodedText:
    """The text, encoded; the vocabulary `known` keeps its ids. The main process encodes for all.

    Raises InputError for what several processes cannot share.
    """
    streams = request.recipe.streams
    if streams % world.size:
        raise InputError(f"{streams} streams cannot be divided among {world.size} processes: choose a multiple")
    if world.size > 1 and "-" in map(str, request.sources):
        raise InputError("standard input can be read by one process alone: give several processes a file")
    corpus = corpus_of(request)
    if not world.is_main:
        world.barrier()  # the main process encodes first; the others find its work in the cache
    text = encode_corpus(corpus, known, extend=True, min_count=request.recipe.min_count)
    if world.is_main:
        world.barrier()
    if world.any(world.from_main(text.sha256.encode()) != text.sha256.encode()):
        raise InputError("the processes do not read the same text: give all of them the same files")
    return text


def with_dropout(recipe: Recipe, epochs: float) -> Recipe:
    """`recipe` with the dropout that suits so many epochs, if it does not give its own."""
    if recipe.dropout is not None:
        return recipe
    share = next((share for below, share in DROPOUT if epochs < below), DROPOUT[-1][1])
    return replace(recipe, dropout=share + 0.1 if epochs >= 8 and recipe.hidden > 400 else share)


def dropout_of(recipe: Recipe) -> Dropout:
    """Less of the embedding is dropped than of the hidden state: what is lost there is lost to all that follows."""
    share = recipe.dropout or None
    return Dropout(
        embedding=None if share is None else share / EMBEDDING_DROPOUT,
        between=share if recipe.layers > 1 else None,
        output=share,
    )


def _shortest(measure: Callable[[], float]) -> float:
    """The least of three measurements: the first pays for memory, and other work on the machine only lengthens one."""
    return min(measure() for _ in range(3))


@dataclass(frozen=True)
class Builder:
    """Builds networks, tasks and optimizers of one recipe on one text."""

    text: EncodedText
    split: Split
    recipe: Recipe
    world: World
    notify: Notify

    def network(self) -> CharNetwork:
        """A new network, a function of the recipe's seed."""
        r = self.recipe
        config = ModelConfig(r.rung, len(self.text.vocabulary), r.embedding, r.hidden, r.layers, r.nonlinearity)
        network = CharNetwork(config, dropout=dropout_of(r), seed=r.seed)
        start_well(network, r.seed)
        return network

    def task(self, network: CharNetwork, choice: Choice) -> TextTask:
        """`network` with the text, on the device of `choice`; several processes start from the main one's."""
        task = self._task(network, choice)
        self.world.copy_main_([weights.detach() for weights in task.network.parameters()])
        return task

    def optimizer(self, task: TextTask, choice: Choice) -> Optimizers:
        """The recipe's optimizer; its directions of descent are computed in bfloat16 where that was chosen."""
        dtype = torch.bfloat16 if choice.precision == "bfloat16" else choice.dtype
        return build_optimizer(task.network, self.recipe, task.world, dtype)

    def fastest(self, network: CharNetwork, machine: Machine) -> tuple[Choice, float]:
        """The fastest choice that `machine` allows, with its seconds a step, both agreed on by the processes."""
        if self.world.size > 1:
            machine = replace(machine, threads=machine.threads or max(1, cores() // self.world.local_size))

        best = math.inf

        def seconds(choice: Choice) -> float:
            nonlocal best
            taken = self.seconds(network, choice, HOPELESS * best)
            best = min(best, taken)
            return taken

        return choose(machine, seconds)

    def seconds(self, network: CharNetwork, choice: Choice, give_up: float = math.inf) -> float:
        """Seconds that a step takes, the mean over the processes. Raises RuntimeError where one of them refuses it."""
        taken, refused = 0.0, ""
        try:
            with running(choice):
                taken = self.trial(copy.deepcopy(network), choice, give_up)
        except RuntimeError as error:
            refused = f"{error}"
        if self.world.any(bool(refused)):
            raise RuntimeError(refused or "another process refused it")
        return self.world.mean(taken)

    def timing(self, task: TextTask, choice: Choice, step: float) -> Timing:
        """What measurements take here, from small ones, with the seconds of a `step`; means over the processes."""
        sample = task.sample("validation", min(TRIAL_CHARACTERS, 1 + TRIAL_LOGITS // len(self.text.vocabulary)))
        read = len(sample) + task.warm_up * len(sample.starts) // PIECES
        model = parts_of(task.network, self.text.vocabulary)

        def measured() -> float:
            before = time.perf_counter()
            with choice.autocast():
                task.loss(sample)
            return (time.perf_counter() - before) / read

        mean = self.world.mean
        with running(choice):
            return Timing(
                step,
                mean(_shortest(measured)),
                mean(_shortest(lambda: baselines.seconds_per_character(self.text))),
                mean(self.recipe.networks * _shortest(lambda: mixing.seconds_per_character(model, self.text.ids))),
                task.warm_up,
            )

    def trial(self, network: CharNetwork, choice: Choice, give_up: float = math.inf) -> float:
        """Seconds a step, from a few steps of this process alone; with dropout, if the run may come to that.

        From the first step alone, if that takes more than `give_up` seconds.
        """
        network.dropout = dropout_of(with_dropout(self.recipe, self.recipe.epochs or math.inf))
        task = self._task(network, choice)
        task = task.alone()
        optimizer = self.optimizer(task, choice)

        def step() -> None:
            optimizer.zero_grad()
            task.backward(0)
            optimizer.step(0.0)

        return steps_within(TRIAL_SECONDS, step, at_most=20, give_up=give_up)[1]

    def _task(self, network: CharNetwork, choice: Choice) -> TextTask:
        network = network.to(choice.device, choice.dtype)
        common: dict[str, Any] = {
            "network": network, "ids": self.text.ids, "split": self.split, "length": self.recipe.length,
            "seed": self.recipe.seed, "world": self.world, "autocast": choice.autocast, "notify": self.notify,
            "release": self.text.release,
        }  # fmt: skip
        if network.config.vocabulary > ABOVE and self.world.size == 1:
            common["sampled"] = SampledSoftmax.of(self.text.vocabulary)
        if self.recipe.records is not None:
            return RecordTask(**common, boundary=known_boundary(self.text.vocabulary), streams=self.recipe.streams)
        return StreamTask(**common, streams=streams(self.split.train, self.recipe.streams))

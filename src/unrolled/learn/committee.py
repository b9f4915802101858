"""A committee: several networks of one recipe but other seeds, trained one after the other within one budget.

    run = CommitteeRun(...)
    for session in run.sessions():      those that are not finished yet
        for record in session.run(): ...
    summary, model = run.finish()       the mean of their probabilities, with counts where that is better

Each network has a run folder of its own in `networks/` until the whole is written, so that an interrupted committee is
resumed where it was. Training them side by side as batched products was not faster (docs/experiments.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unrolled.errors import FolderError, InputError
from unrolled.files import is_complete, remove_folder, write_into
from unrolled.learn.build import Request, read_text, split_text
from unrolled.learn.mixing import mix
from unrolled.learn.prepare import prepare
from unrolled.learn.recipe import Recipe
from unrolled.learn.session import Session
from unrolled.learn.start import DEFAULT_MINUTES
from unrolled.learn.summary import Summary
from unrolled.model.folder import FILES, ModelParts, read_model
from unrolled.model.members import MIXTURE, Members
from unrolled.model.novelty import novelty_files
from unrolled.text.report.baselines import baselines, verdict

NETWORKS = "networks"


@dataclass
class CommitteeRun:
    """Raises InputError for several processes, FolderError for a folder that cannot be used."""

    request: Request
    out: Path | None
    resume: bool = False
    save_seconds: float = 300.0
    models: list[ModelParts] = field(default_factory=list)
    """Of the networks that are finished."""

    def __post_init__(self) -> None:
        if self.request.world.size > 1:
            raise InputError("a committee is trained by one process: leave --networks out, or torchrun")
        if self.out is None or not self.out.exists():
            return
        if not self.out.is_dir():
            raise FolderError(f"{self.out} is a file: choose an --out that is empty or new")
        names = {path.name for path in self.out.iterdir()}
        foreign = {name for name in names - {NETWORKS, MIXTURE, *FILES} if not name.endswith(".safetensors")}
        if is_complete(self.out) or foreign:
            raise FolderError(f"{self.out} holds a finished run or other files: choose an --out that is empty or new")
        if names and not self.resume:
            raise FolderError(f"{self.out} holds an unfinished committee: continue with --resume, or choose another")

    def sessions(self) -> Iterator[Session]:
        """The session of each network that is not finished; one that was run to its end is finished by the next call.

        One that was interrupted ends the iteration.
        """
        for i, recipe in enumerate(recipes(self.request.recipe)):
            folder = None if self.out is None else self.out / NETWORKS / f"{i + 1}"
            if folder is not None and is_complete(folder):
                self.models.append(read_model(folder))
                continue
            session = self._prepare(recipe, folder, first=i == 0)
            yield session
            if session.interrupt is not None:
                return
            self.models.append(session.finish(with_baselines=False)[1])

    def _prepare(self, recipe: Recipe, folder: Path | None, *, first: bool) -> Session:
        r = self.request
        given = r.given - {"networks", "seed", "minutes", "epochs"}
        return prepare(
            r.sources, folder, recipe, r.machine, text=r.text, given=given, resume=self.resume,
            start_from=r.start_from, valid=r.valid, encoding=r.encoding, save_seconds=self.save_seconds,
            notify=r.notify, on_text=r.on_text if first else lambda text: None,
            started=r.started if first else None,
        )  # fmt: skip

    def finish(self) -> tuple[Summary, ModelParts]:
        """Measure the mean of all networks, alone and with counts, and write the model folder."""
        first, *others = self.models
        text = read_text(self.request, self.request.recipe, first.vocabulary)
        text, cut = split_text(self.request, self.request.recipe, text)
        alone = replace(first, beside=Members(), training={})
        committee = replace(alone, beside=Members(tuple(model.weights for model in others)))
        mixed = mix(committee, text.ids, cut, self.request.recipe.with_)
        losses = first.training["losses"]
        start = len(text) - len(cut.test) - len(cut.validation)
        found = baselines(text, start, start + len(cut.validation), mixed.counts / math.log(2))
        members = {"network": losses["validation"]["nats"], "networks": mixed.network}
        members |= {name: nats for name, nats in mixed.to_json().items() if name != "network"}
        summary = Summary(
            run=self.out, rung=first.config.rung, characters=len(text), vocabulary=len(text.vocabulary),
            parameters=committee.parameters, train=losses["train"], validation=losses["validation"],
            characters_seen=sum(model.training["characters_seen"] for model in self.models),
            seconds=sum(model.training["seconds"] for model in self.models),
            test=losses.get("test"), members=members, mixing=mixed.sentence,
            validation_characters=len(cut.validation), epochs=first.training["epochs"],
            best_epoch=first.training["best_epoch"], baselines=found,
            verdict=verdict(mixed.delivered / math.log(2), found),
        )  # fmt: skip
        model = replace(mixed.model, training=self._training(summary))
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            end = len(cut.train) + len(cut.mixing)
            write_into(self.out, model.to_files() | novelty_files(text.ids, text.vocabulary.boundary, end))
            remove_folder(self.out / NETWORKS)
        return summary, model

    def _training(self, summary: Summary) -> dict[str, Any]:
        changed = {
            "recipe": self.request.recipe.to_json(), "members": summary.members, "seconds": round(summary.seconds, 1),
            "characters_seen": summary.characters_seen,
        }  # fmt: skip
        return self.models[0].training | changed


def recipes(recipe: Recipe) -> list[Recipe]:
    """The recipe of each network: another seed, and its share of the minutes."""
    count = recipe.networks
    minutes = None if recipe.epochs is not None else (recipe.minutes or DEFAULT_MINUTES) / count
    return [replace(recipe, networks=1, seed=recipe.seed + i, minutes=minutes) for i in range(count)]

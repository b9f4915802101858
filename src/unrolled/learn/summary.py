"""What came of a run, in figures and as a model folder, whatever was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelParts
from unrolled.model.labels import READ, fitted_temperature
from unrolled.model.novelty import novelty_files
from unrolled.text.encoded import EncodedText
from unrolled.text.records import label_counts
from unrolled.text.report.baselines import Baseline
from unrolled.text.vocabulary import BOUNDARY, LABEL_END, Ids
from unrolled.text.windows import Split


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
    members: dict[str, float]
    """Nats per character of the validation part: network, counts, and both together."""
    mixing: str
    """Whether the model mixes them, in a sentence."""
    validation_characters: int
    """Of the validation part, those that `validation` and the baselines were measured on."""
    epochs: float
    best_epoch: float
    """The one at whose end the weights are."""
    baselines: tuple[Baseline, ...]
    """Of the validation part."""
    verdict: str
    """What the model is worth beside them, in a sentence."""

    def to_json(self) -> dict[str, Any]:
        """JSON object; losses are `{"nats", "bits"}` per character, `test` only where there is a test part."""
        content = asdict(self) | {"run": None if self.run is None else str(self.run)}
        return {key: value for key, value in content.items() if key != "test" or value is not None}

    @property
    def losses(self) -> dict[str, dict[str, float]]:
        """Those of the parts that were measured, by part."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {part: loss for part, loss in found.items() if loss is not None}


def concluded(
    model: ModelParts, text: EncodedText, cut: Split, summary: Summary, sources: Sequence[str | Path],
    facts: Mapping[str, Any],
) -> ModelParts:  # fmt: skip
    """`model` with what its folder says of its training, `facts` among it, and how far its labels are believed."""
    training = {
        **facts,
        "corpus": {"sha256": text.sha256, "characters": len(text), "sources": [str(source) for source in sources]},
        "labels": label_counts(text.ids[: cut.bounds("mixing")[1]], text.vocabulary),
        "losses": summary.losses,
        "seconds": round(summary.seconds, 1),
        "characters_seen": summary.characters_seen,
    }
    return _calibrated(replace(model, training=training), cut.validation)


def finished_files(model: ModelParts, text: EncodedText, cut: Split) -> dict[str, bytes]:
    """The files of a finished run: its model, and what tells copies of the training text."""
    return model.to_files() | novelty_files(text.ids, text.vocabulary.boundary, cut.bounds("mixing")[1])


def _calibrated(model: ModelParts, validation: Ids) -> ModelParts:
    """`model` with the temperature that suits the labels of the records of `validation`, if records have labels."""
    reader = CharModel(model)
    if not reader.labels:
        return model
    *records, _ = model.vocabulary.decode(validation[:READ]).split(BOUNDARY)  # the last may be cut
    temperature = fitted_temperature(reader, reader.labels, [each.partition(LABEL_END)[::2] for each in records])
    return replace(model, training=model.training | {"label_temperature": temperature})

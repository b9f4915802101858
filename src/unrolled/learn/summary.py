"""What came of a run, in figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unrolled.text.report.baselines import Baseline


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

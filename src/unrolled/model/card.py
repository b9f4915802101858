"""The model card: README.md of a model folder, in plain words for a person who receives the folder.

Left out: any figure that was not measured; a run that is not finished has none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_NAMES = {"train": "text it was trained on", "validation": "validation text", "test": "test text"}
_CARD = """\
---
library_name: unrolled
pipeline_tag: text-generation
tags:
- character-language-model
- recurrent-network
- {rung}
---

# A character model: {rung}

It reads a text one character at a time and gives the probability of each character that may come next. With
these probabilities it can write, and measure how surprising a text is.

{members}

## What it was trained on

{trained}
{measured}
## How to use it

```sh
unrolled next FOLDER "YOUR TEXT"
unrolled generate FOLDER --length 400 --seed 1
unrolled score FOLDER some.txt
```

```python
from unrolled import CharModel

model = CharModel.from_pretrained("FOLDER")
model.next("YOUR TEXT")
```

NumPy is enough; no file of this folder can run code.

## What to expect

It knows nothing but the text above. It may repeat passages of it word for word, faults and private details
included, and what it writes is true only by chance.
"""
_MEASURED = """
## How well it predicts

| measured on | bits per character | nats per character |
|---|---|---|
{rows}

Lower is better. The network was not trained on the validation text, which only served to choose the best weights.
"""


def model_card(sizes: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """The card of a network of `sizes` (the fields of ModelConfig, and parameters) with the facts of its training."""
    rows = "\n".join(_rows(sizes["members"], training))
    return _CARD.format(
        rung=sizes["rung"],
        members="\n".join(_members(sizes)),
        trained="\n".join(_trained(training)) or "Its training is not finished: nothing is recorded yet.",
        measured=_MEASURED.format(rows=rows) if rows else "",
    )


def _members(sizes: Mapping[str, Any]) -> list[str]:
    known, networks = f"- characters known: {sizes['vocabulary'] - 1:,}", len(sizes["members"])
    lines = []
    if "counts" in sizes["members"]:
        networks -= 1
        lines = ["- counts of what followed the last characters, frozen after the training text"]
    if not networks:
        return [*lines, known]
    layers = "one layer" if sizes["layers"] == 1 else f"{sizes['layers']} layers"
    what = f"{sizes['rung']}, {layers} of {sizes['hidden']} hidden units, {sizes['parameters']:,} weights"
    many = "network" if networks == 1 else f"mean of {networks} networks"
    return [f"- {many}: {what}", *lines, f"{known}, each a vector of {sizes['embedding']} numbers"]


def _trained(training: Mapping[str, Any]) -> list[str]:
    corpus = training.get("corpus", {})
    facts = [
        ("text", ", ".join(map(str, corpus.get("sources", [])))),
        ("characters in the text", _count(corpus.get("characters"))),
        ("SHA-256 of the text", corpus.get("sha256")),
        ("characters read in training", _count(training.get("characters_seen"))),
        ("minutes of training", f"{training['seconds'] / 60:.1f}" if "seconds" in training else None),
    ]
    return [f"- {name}: {value}" for name, value in facts if value]


def validation_nats(members: Sequence[str], training: Mapping[str, Any]) -> float | None:
    """Nats per character on the validation text, of all members together; None if that was not measured."""
    if len(members) > 1:
        return training.get("members", {}).get("together" if "counts" in members else "networks")
    return training.get("losses", {}).get("validation", {}).get("nats")


def _rows(members: Sequence[str], training: Mapping[str, Any]) -> list[str]:
    together, several = validation_nats(members, training), "network-2" in members
    which = "" if len(members) == 1 else ", first network" if several else ", network alone"
    rows = [
        f"| {_NAMES.get(name, name)}{which} | {loss['bits']:.3f} | {loss['nats']:.4f} |"
        for name, loss in training.get("losses", {}).items()
    ]
    if rows and which and together is not None:
        rows.append(f"| validation text, all together | {together / math.log(2):.3f} | {together:.4f} |")
    return rows


def _count(number: Any) -> str | None:
    return f"{number:,}" if isinstance(number, int) else None

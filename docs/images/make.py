"""Make the pictures of the README and the pages again.

python docs/images/make.py                                 the demo in a terminal, and its vectors; offline
python docs/images/make.py agreement NAME=RUN...           how far back agreement reaches, a panel for each run
python docs/images/make.py memory TEXT NAME=RUN...         the memory ruler, a curve for each run
"""

import io
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME as LIGHT
from rich.terminal_theme import SVG_EXPORT_THEME as DARK
from rich.terminal_theme import TerminalTheme

from unrolled import plotting as style
from unrolled.cli import output, train
from unrolled.learn.networks.network import network_of
from unrolled.look.agreement.cues import by_distance, cue_effects
from unrolled.look.agreement.pairs import agreement, read_pairs
from unrolled.look.curves import Curve, curves
from unrolled.look.memory.measure import measure_memory
from unrolled.look.memory.picture import draw_memories
from unrolled.look.units import paint
from unrolled.look.units.activations import Unit, record
from unrolled.model.char_model import CharModel

HERE = Path(__file__).parent
PAIRS = HERE.parent / "pairs"
DPI = 90


class _Wrapping(Console):
    """A terminal wraps a line that is too long; a picture would cut it off."""

    def print(self, *objects: object, **options: Any) -> None:
        super().print(*objects, **(options | {"soft_wrap": False, "overflow": "fold"}))


def draw_demo() -> None:
    """The demo in a terminal, and the vectors of its characters."""
    recorder = _Wrapping(record=True, width=134, file=io.StringIO(), highlight=False)
    train.results = train.messages = output.results = output.messages = lambda: recorder
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "unrolled-demo"
        train.demo(out=run)
        (HERE / "embedding.png").write_bytes((run / "embedding.png").read_bytes())
    _write_svg(recorder, HERE / "demo.svg", "make demo", hidden=folder)


def draw_agreement(*runs: str) -> None:
    """The shift of the odds by distance, for each file of pairs that a run can read."""
    panels = {name: _agreement(CharModel.from_pretrained(folder)) for name, folder in map(_named, runs)}
    figure = curves(
        panels,
        x_label="characters from the cue to the word that agrees with it",
        y_label="nats by which the cue moves the odds",
        x_scale="log",
        levels={"not at all": 0.0},
    )
    style.save(figure, HERE / "agreement.png", DPI)


def draw_memory(source: str, *runs: str) -> None:
    """The cost curve of each run, on the end of one text."""
    text = Path(source).read_text("utf-8")[-50_000:]
    memories = []
    for name, folder in map(_named, runs):
        model = CharModel.from_pretrained(folder)
        network, ids = network_of(model.parts), model.vocabulary.encode(text)
        memories.append(measure_memory(network, ids, text, name=name))
        print(f"{name}: {memories[-1].characters} characters, {memories[-1].loss:.3f} nats")
    style.save(draw_memories(memories), HERE / "memory.png", DPI)


def draw_unit(run: str, source: str, unit: str) -> None:
    """The beginning of the end of a text, each character on the colour of the unit's activation."""
    model, (layer, number) = CharModel.from_pretrained(run), map(int, unit.split(":"))
    text = Path(source).read_text("utf-8")[-20_000:]
    values = record(model, text).of(Unit(layer, number))
    start = text.index("\n\n") + 2
    shown = slice(start, text.index("\n\n", start + 330))
    recorder = Console(record=True, width=70, file=io.StringIO(), highlight=False)
    recorder.print(paint.painted_text(text[shown], values[shown], paint.limit_of(values)))
    _write_svg(recorder, HERE / "unit.svg", f"unit {number} of layer {layer}", theme=LIGHT)


def _write_svg(recorder: Console, path: Path, title: str, hidden: str = "", theme: TerminalTheme = DARK) -> None:
    """What was printed, as a picture, without the name of a temporary folder."""
    svg = recorder.export_svg(title=title, theme=theme)
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S)  # fonts from elsewhere: the system's own will do
    if hidden:  # the lengths that were computed with the name are left to the font
        svg = re.sub(rf' textLength="[0-9.]+"([^>]*>[^<]*{re.escape(hidden)}/)', r"\1", svg).replace(f"{hidden}/", "")
    path.write_text(svg)


def _agreement(model: CharModel) -> dict[str, Curve]:
    lines = {}
    for file in sorted(PAIRS.glob("*.txt")):
        pairs = read_pairs(file.read_text("utf-8").splitlines())
        if not set("".join(pair.context for pair in pairs)) <= set(model.vocabulary.characters):
            continue  # no brackets in Shakespeare
        found = by_distance(cue_effects(agreement(model, pair) for pair in pairs))
        middle = [(one.near * one.far) ** 0.5 for one in found]
        nats, low, high = ([getattr(one, part) for one in found] for part in ("nats", "low", "high"))
        lines[file.stem] = Curve(middle, nats, low, high)
        print(file.stem, *(f"{one.near}-{one.far}: {one.nats:+.2f}" for one in found))
    return lines


def _named(run: str) -> tuple[str, str]:
    name, _, folder = run.partition("=")
    return name, folder


PICTURES = {"demo": draw_demo, "agreement": draw_agreement, "memory": draw_memory, "unit": draw_unit}

if __name__ == "__main__":
    PICTURES[sys.argv[1] if len(sys.argv) > 1 else "demo"](*sys.argv[2:])

"""The ladder: one file a rung, each a recurrence with the same contract (`recurrence.py`), from first to last."""

from __future__ import annotations

from unrolled.learn.networks.block import in_block
from unrolled.learn.networks.concat import Concat
from unrolled.learn.networks.deltanet import DeltaNet
from unrolled.learn.networks.gated_deltanet import GatedDeltaNet
from unrolled.learn.networks.gru import Gru
from unrolled.learn.networks.hgrn2 import Hgrn2
from unrolled.learn.networks.irnn import Irnn
from unrolled.learn.networks.linear_attention import LinearAttention
from unrolled.learn.networks.loop import Loop
from unrolled.learn.networks.lru import Lru
from unrolled.learn.networks.lstm import Lstm
from unrolled.learn.networks.mamba import Mamba
from unrolled.learn.networks.mingru import MinGru
from unrolled.learn.networks.minlstm import MinLstm
from unrolled.learn.networks.mlstm import MLstm
from unrolled.learn.networks.recurrence import Recurrence
from unrolled.learn.networks.rg_lru import RgLru
from unrolled.learn.networks.rnn import Rnn
from unrolled.learn.networks.slstm import SLstm
from unrolled.learn.networks.three_char import ThreeChar
from unrolled.model.cells import CONVOLUTION, alone, find_cell

RUNGS: dict[str, type[Recurrence]] = {
    "three-char": ThreeChar,
    "loop": Loop,
    "concat": Concat,
    "rnn": Rnn,
    "irnn": Irnn,
    "gru": Gru,
    "lstm": Lstm,
    "mingru": MinGru,
    "minlstm": MinLstm,
    "lru": Lru,
    "rg-lru": RgLru,
    "mamba": Mamba,
    "linear-attention": LinearAttention,
    "deltanet": DeltaNet,
    "gated-deltanet": GatedDeltaNet,
    "slstm": SLstm,
    "mlstm": MLstm,
    "hgrn2": Hgrn2,
}
"""The rungs by name, each to be found under the same name in `unrolled.model.cells.CELLS`."""


def find_recurrence(rung: str) -> type[Recurrence]:
    """The recurrence of `rung`, or of a rung in a block, as `mingru+block` or `mingru+conv`. Raises InputError."""
    find_cell(rung)
    kind = RUNGS[name := alone(rung)]
    return kind if name == rung else in_block(kind, convolution=rung.endswith(CONVOLUTION))

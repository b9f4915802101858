"""Tiny Shakespeare: `unrolled train` beside a small transformer with the settings nanoGPT's README gives for a laptop.

The transformer is made of PyTorch's own layers: 4 of them, 4 heads, width 128, 64 characters of context, normalised
first, learned positions; 2,000 batches of 12, AdamW (betas 0.9 and 0.99, decay 0.1 of the matrices), 1e-3 after 100
steps of warm-up, a cosine down to 1e-4, gradients clipped at 1, no dropout. Its whole validation part is measured in
pieces of 64 characters. Then `train` gets as many minutes as that took, on the same machine, right after it. Both count
everything, the measurement at the end too; the processor seconds say what each had.

    python -m benchmarks.transformer
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.texts import text
from unrolled import train
from unrolled.text.corpus import open_corpus
from unrolled.text.encoded import encode_corpus
from unrolled.text.windows import split

LAYERS, HEADS, WIDTH, CONTEXT, BATCH, STEPS, WARMUP = 4, 4, 128, 64, 12, 2000, 100
RATE, LAST_RATE = 1e-3, 1e-4


class Transformer(nn.Module):
    """Ids (batch, time) -> logits (batch, time, symbols), of at most `CONTEXT` characters."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.characters, self.places = nn.Embedding(symbols, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True, bias=False
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, symbols, bias=False)
        self.head.weight = self.characters.weight
        for name, weights in self.named_parameters():
            if weights.dim() > 1:
                into_residual = name.endswith(("out_proj.weight", "linear2.weight"))
                nn.init.normal_(weights, std=0.02 / math.sqrt(2 * LAYERS) if into_residual else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """See the class."""
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        seen = self.characters(ids) + self.places.weight[: ids.shape[1]]
        logits: Tensor = self.head(self.layers(seen, mask, is_causal=True))
        return logits

    def nats(self, ids: Tensor) -> Tensor:
        """The mean loss of all but the first of the ids (batch, time + 1)."""
        return nn.functional.cross_entropy(self(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def trained() -> float:
    """Train the transformer; nats per character of the last tenth."""
    encoded = encode_corpus(open_corpus([text("tinyshakespeare")]))
    parts = split(encoded.ids, 0.1)
    ids, validation = (torch.from_numpy(part.astype("int64")) for part in (parts.train, parts.validation))
    torch.manual_seed(0)
    network = Transformer(len(encoded.vocabulary))
    groups = [
        {"params": [p for p in network.parameters() if (p.dim() > 1) is matrices], "weight_decay": 0.1 * matrices}
        for matrices in (True, False)
    ]
    optimizer = torch.optim.AdamW(groups, RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _factor)
    for _ in range(STEPS):
        starts = torch.randint(len(ids) - CONTEXT, (BATCH, 1))
        loss = network.nats(ids[starts + torch.arange(CONTEXT + 1)])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        pieces = validation.unfold(0, CONTEXT + 1, CONTEXT).split(256)
        return sum(float(network.nats(piece)) * len(piece) for piece in pieces) / sum(map(len, pieces))


def _factor(step: int) -> float:
    if step < WARMUP:
        return (step + 1) / (WARMUP + 1)
    share = (step - WARMUP) / (STEPS - WARMUP)
    return (LAST_RATE + (RATE - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2) / RATE


def main() -> dict[str, Any]:
    """The transformer, then `train` for as long."""
    start, used = time.perf_counter(), time.process_time()
    transformer = {"nats": trained(), "processor_seconds": time.process_time() - used}
    seconds, used = time.perf_counter() - start, time.process_time()
    print(f"transformer: {transformer['nats']:.3f} nats after {seconds:.0f} s", flush=True)
    summary = train(text("tinyshakespeare"), minutes=seconds / 60).summary
    ours = summary.members | {"processor_seconds": time.process_time() - used, "epochs": summary.epochs}
    ahead = transformer["nats"] - summary.members.get("together", summary.members["network"])
    return {
        "benchmark": "beside a small transformer", "seconds": seconds, "transformer": transformer, "unrolled": ours,
        "ahead": ahead, "reach": 0.4, "reached": ahead >= 0.4,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main()))

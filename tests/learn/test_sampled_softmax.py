"""The estimated loss of a large vocabulary: unbiased, a function of the seed, exact where all symbols are drawn."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from unrolled.learn import build
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.learn.sampled_softmax import SampledSoftmax
from unrolled.learn.start import prepare
from unrolled.text.vocabulary import Vocabulary

SYMBOLS = 6000
VOCABULARY = Vocabulary(tuple(map(chr, range(0x4E00, 0x4E00 + SYMBOLS - 1))), tuple(range(SYMBOLS - 1, 0, -1)))


def case(scale: float = 1.0) -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    head = nn.Linear(8, SYMBOLS)
    with torch.no_grad():
        head.weight.mul_(scale)
    return head, torch.randn(40, 8), torch.randint(1, 200, (40,))


@torch.no_grad()
def test_the_denominator_is_estimated_without_bias() -> None:
    head, features, targets = case(3.0)
    sampled, own = SampledSoftmax.of(VOCABULARY), head(features)[torch.arange(40), targets]
    estimates = [(sampled.nats(head, features, targets, seed) + own).exp() for seed in range(60)]
    exact = (functional.cross_entropy(head(features), targets, reduction="none") + own).exp()
    mean, error = torch.stack(estimates).mean(0), torch.stack(estimates).std(0) / 60**0.5
    assert float(((mean - exact) / error).abs().max()) < 5
    assert float(((mean - exact) / exact).abs().mean()) < 0.02
    assert torch.equal(*(sampled.nats(head, features, targets, 7) for _ in range(2)))


def test_with_all_symbols_drawn_loss_and_gradient_are_exact() -> None:
    _, features, targets = case()
    few = Vocabulary(VOCABULARY.characters[:49], (10**6,) * 49, merged=1, merged_count=10**6)
    small = nn.Linear(8, 50)
    sampled = SampledSoftmax.of(few)
    exact = functional.cross_entropy(small(features), targets % 50, reduction="none")
    found = sampled.nats(small, features, targets % 50, 3)
    assert found.tolist() == pytest.approx(exact.tolist(), abs=1e-3)
    gradients = []
    for loss in (exact, found):
        small.zero_grad()
        loss.sum().backward()
        gradients.append(small.weight.grad.clone() if small.weight.grad is not None else None)
    assert torch.allclose(*gradients, atol=2e-2)


@pytest.mark.parametrize("records", [None, "lines"])
def test_a_run_with_a_large_vocabulary_learns_and_measures_exactly(
    monkeypatch: pytest.MonkeyPatch, records: str | None
) -> None:
    monkeypatch.setattr(build, "ABOVE", 100)
    rng = np.random.default_rng(0)
    words = ["".join(map(chr, 0x4E00 + rng.integers(0, 300, 3))) for _ in range(60)]
    text = "\n".join(words[i] for i in rng.integers(0, 60, 700))
    recipe = Recipe(rung="gru", hidden=24, embedding=12, streams=4, length=16, epochs=3, records=records, with_="none")
    session = prepare(
        Request(
            [],
            None,
            recipe,
            Machine(device="cpu", precision="float32", threads=1),
            text=text,
            notify=lambda notice: None,
        )
    )
    assert session.task.sampled is not None
    losses = [record.loss for record in session.run()]
    assert losses[-1] < 0.6 * losses[0]
    exact = session.task.loss(session.task.sample("train")).nats
    assert exact == pytest.approx(np.mean(losses[-20:]), abs=0.2)

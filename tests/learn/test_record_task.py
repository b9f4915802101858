"""Training on records: what is computed, what is not, and that nothing depends on who stands beside whom."""

from dataclasses import dataclass
from itertools import islice, repeat

import numpy as np
import pytest
import torch

from agreement import assert_agree
from tiny import tiny_model
from unrolled import train
from unrolled.errors import InputError
from unrolled.learn.distributed import World
from unrolled.learn.networks.dropout import Dropout
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.record_task import RecordTask
from unrolled.learn.request import Request
from unrolled.learn.start import prepare
from unrolled.learn.text_task import IGNORED
from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelConfig
from unrolled.model.novelty import read_novelty
from unrolled.text.corpus import text_corpus
from unrolled.text.records import cut_text, record_corpus
from unrolled.text.vocabulary import BOUNDARY, Vocabulary

FLOAT64 = Machine(device="cpu", precision="float64", threads=1)
NAMES = [
    first + middle + last
    for first in ("an", "be", "cla", "do")
    for middle in ("n", "ri", "ro", "lo", "va")
    for last in ("a", "e", "ia", "us", "o")
]


def task_of(texts, rung="gru", length=8, streams=4, dtype=torch.float64, **changes):
    read = record_corpus(text_corpus("\n".join(texts)), "lines").read()
    vocabulary = Vocabulary.of(read)
    ids, parts = cut_text(vocabulary.encode(read), vocabulary.boundary, 0.2)
    network = CharNetwork(ModelConfig(rung, len(vocabulary), 5, 7, 1)).to(dtype)
    return RecordTask(
        network=network, ids=ids, split=parts, length=length, seed=3, boundary=vocabulary.boundary, streams=streams,
        notify=lambda notice: None, **changes,
    )  # fmt: skip


def alone(task, record):
    """The nats of one record, read by itself."""
    start, length = int(task.records.starts[record]), int(task.records.lengths[record])
    ids = torch.from_numpy(task.ids[start - 1 : start + length + 1].astype(np.int64))[None]
    logits, _ = task.network(ids[:, :-1], task.network.initial_state(1))
    return torch.nn.functional.cross_entropy(logits[0], ids[0, 1:], reduction="sum")


LONG = ["x" * n + "y" for n in (1, 2, 7, 8, 9, 15, 16, 17, 40)] + NAMES[:40]


@pytest.mark.parametrize("rung", ["gru", "lstm", "deltanet"])
def test_the_loss_of_records_is_the_sum_of_the_losses_of_each_alone(rung):
    task = task_of(LONG, rung)
    for part in ("train", "validation"):
        start, end = task.split.bounds(part)
        records = [i for i, at in enumerate(task.records.starts) if start <= at < end]
        found = task.loss(task.sample(part))
        assert found.characters == sum(int(task.records.predictions[i]) for i in records)
        with torch.no_grad():
            assert found.total == pytest.approx(sum(float(alone(task, i)) for i in records), rel=1e-10)


def test_an_epoch_has_every_training_record_once_and_the_next_another_order():
    task = task_of(LONG)
    orders = []
    for epoch in range(2):
        steps = task._plan(epoch)
        seen = np.concatenate([step.records for step in steps if step.first == 0])
        assert sorted(seen.tolist()) == list(range(*np.searchsorted(task.records.starts, task.split.bounds("train"))))
        assert sum(int(task._counts(step).sum()) for step in steps) == task.records.predictions[seen].sum()
        orders.append(seen.tolist())
    assert orders[0] != orders[1]
    assert task.characters_seen(len(task._plan(0))) == task.records.predictions[np.array(orders[0])].sum()


def test_a_step_of_a_later_epoch_is_found_in_any_order():
    task, again = task_of(LONG), task_of(LONG)
    plans = [list(task._plan(epoch)) for epoch in range(4)]
    in_order = [step.records.tolist() for plan in plans for step in plan]
    assert [again._step(number).records.tolist() for number in reversed(range(len(in_order)))] == in_order[::-1]
    seen = np.cumsum([0, *(int(task._counts(step).sum()) for plan in plans for step in plan)])
    assert [again.characters_seen(number) for number in range(len(in_order))] == seen[:-1].tolist()


def test_the_gradient_of_a_batch_is_that_of_its_records_and_padding_has_none():
    task = task_of(LONG, length=64, streams=6)
    step = task._step(0)
    _, targets = task._read(step)
    counted = int((targets != IGNORED).sum())
    task.backward(0)
    ours = [parameter.grad.clone() for parameter in task.network.parameters()]
    task.network.zero_grad()
    (sum(alone(task, int(i)) for i in step.records) / counted).backward()
    assert_agree(ours, [parameter.grad for parameter in task.network.parameters()])


def test_long_records_go_on_where_they_were_and_short_ones_leave():
    task = task_of(LONG, length=8, streams=len(LONG))
    steps = [(step.first, len(step.records)) for step in task._plan(0)]
    assert [first for first, _ in steps] == [0, 8, 16, 24, 32, 40][: len(steps)]
    assert [rows for _, rows in steps] == sorted((rows for _, rows in steps), reverse=True)
    for number, step in enumerate(task._plan(0)):
        task.backward(number)
        if not step.is_last:
            assert len(task.carried[0]) == len(step.records)
    assert task.carried is None


def test_micro_batches_make_the_same_gradient():
    whole, halved = task_of(LONG, streams=8), task_of(LONG, streams=8, micro_batches=3)
    halved.network.load_state_dict(whole.network.state_dict())
    assert whole.backward(0) == pytest.approx(halved.backward(0))
    assert_agree([p.grad for p in whole.network.parameters()], [p.grad for p in halved.network.parameters()])


def trained(out, **changes):
    (out.parent / "names.txt").write_text("\n".join(NAMES))
    recipe = {"rung": "gru", "hidden": 16, "embedding": 8, "streams": 4, "length": 8, "epochs": 6, "seed": 1}
    return train(out.parent / "names.txt", out, records="lines", device="cpu", threads=1, precision="float32",
                 notify=lambda notice: None, **(recipe | changes))  # fmt: skip


def test_a_model_of_records_writes_whole_records(tmp_path):
    done = trained(tmp_path / "run", epochs=30)
    model = CharModel.from_pretrained(tmp_path / "run")
    written = list(model.records(40, seed=2))
    assert written == list(model.records(40, seed=2))
    assert len(set(written)) > 10
    assert all(0 < len(name) < 30 and "\n" not in name for name in written)
    assert all(name.startswith("cla") for name in model.records(5, start="cla", seed=3))
    first = dict(model.next(""))
    assert sum(first.values()) == pytest.approx(1)
    assert first["a"] > 0.1 > first["u"]
    continued = model.generate("an", 50, seed=1)
    assert len(continued) < 30  # to the end of the record
    assert not {"\n", BOUNDARY} & set(continued)
    assert done.summary.validation["bits"] < 3

    lines = list(model.score_lines(["anna", "xqzx", "clarous"]))
    assert [len(line.nats) for line in lines] == [5, 5, 8]  # the end of a record counts
    assert lines[1].total_bits > 2 * lines[0].total_bits
    with pytest.raises(InputError, match="--lines"):
        model.score("anna")

    novelty = read_novelty(tmp_path / "run", model.vocabulary)
    new = list(islice(novelty.new(model.records(10_000, seed=4)), 20))
    training = set(NAMES) - _held_out(model)
    assert len(set(new)) == len(new)
    assert not set(new) & training
    assert novelty.copies > 0
    copying = read_novelty(tmp_path / "run", model.vocabulary)
    assert list(copying.new(repeat(min(training)))) == []  # it gives up
    assert copying.exhausted


def _held_out(model):
    read = record_corpus(text_corpus("\n".join(NAMES)), "lines").read()
    _, parts = cut_text(model.vocabulary.encode(read), model.vocabulary.boundary, 0.1)
    return set(model.vocabulary.decode(parts.validation).split(BOUNDARY))


@pytest.mark.parametrize("kind", [{"networks": 2}, {"rung": "counts"}])
def test_counts_beside_networks_of_records(tmp_path, kind):
    text = "\n".join(first + second for first in NAMES[::3] for second in NAMES[::2])
    small = {} if "rung" in kind else {"hidden": 16, "epochs": 1, "threads": 1, "device": "cpu"}
    done = train(text=text, out=tmp_path / "run", records="lines", notify=lambda notice: None, **small, **kind)
    model, members = CharModel.from_pretrained(tmp_path / "run"), done.summary.members
    assert model.members == [*([] if "rung" in kind else ["network", "network-2"]), "counts"]
    assert members["counts"] == min(members.values())
    new = list(islice(read_novelty(tmp_path / "run", model.vocabulary).new(model.records(99)), 3))
    assert len(set(new)) == 3
    assert model.complete("cla", "word")[0].probability > 0.005


@dataclass(frozen=True)
class Alone(World):
    """One of several processes whose messages are left to the test."""

    def average_(self, tensors):
        """Left as they are: the test takes the mean itself."""

    def sum(self, value):
        return value


@pytest.mark.parametrize("size", [2, 3])
def test_processes_make_the_gradient_of_one_and_measure_as_one(size):
    """With dropout, long records whose states are carried, and steps in which some process has no record."""
    one, *ranks = (
        task_of(LONG, streams=8, world=world) for world in (World(), *(Alone(rank, size) for rank in range(size)))
    )
    for task in (one, *ranks):
        task.network.load_state_dict(one.network.state_dict())
        task.network.dropout = Dropout(output=0.3)
    assert any(len(step.records) < size for step in one._plan(0))
    for number, step in enumerate(one._plan(0)):
        for task in (one, *ranks):
            task.network.zero_grad()
            loss = task.backward(number)
        assert np.isfinite(loss)
        means = [sum(p.grad for p in own) / size for own in zip(*(t.network.parameters() for t in ranks), strict=True)]
        assert_agree([p.grad for p in one.network.parameters()], means)
        if not step.is_last:
            assert [len(task.carried[0]) for task in ranks] == [len(step.records[i::size]) for i in range(size)]
    sample = one.sample("train")
    assert sum(task.loss(sample).total for task in ranks) == pytest.approx(one.loss(sample).total, rel=1e-12)


@dataclass(frozen=True)
class Gathering(World):
    """One of several processes that hold every so many-th of `count` rows, each with its number."""

    count: int = 0

    def sum(self, value):
        return self.count

    def gather(self, tensor):
        rows = [torch.arange(self.count).float()[rank :: self.size, None] for rank in range(self.size)]
        return torch.cat([torch.cat([own, own.new_zeros(len(tensor) - len(own), 1)]) for own in rows])


@pytest.mark.parametrize(("count", "size"), [(7, 2), (6, 3), (1, 3)])
def test_the_states_of_all_processes_are_stored_in_the_order_of_the_batch(count, size):
    whole = torch.arange(count).float()[:, None]
    for rank in range(size):
        task = task_of(LONG, world=Gathering(rank, size, count=count))
        task.carried = (whole[task.own_rows],)
        assert torch.equal(task.gathered()[0], whole)


def test_a_model_of_one_text_has_no_records():
    with pytest.raises(InputError, match="--records lines"):
        list(tiny_model("gru").records(3))


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path):
    (tmp_path / "names.txt").write_text("\n".join([*NAMES, "a" * 30, "b" * 41]))
    recipe = Recipe(rung="gru", hidden=8, embedding=4, streams=4, length=8, epochs=3, dropout=0.2, records="lines")
    weights = []
    for name, stop in (("whole", None), ("parts", 7)):
        session = prepare(
            Request([tmp_path / "names.txt"], tmp_path / name, recipe, FLOAT64, notify=lambda notice: None)
        )
        for record in session.run():
            if record.step == stop:
                session.save()
                break
        session.close()
        if stop:
            session = prepare(
                Request([], tmp_path / name, Recipe(), FLOAT64, given=(), resume=True, notify=lambda notice: None)
            )
            assert session.state.progress.step >= stop
            for _ in session.run():
                pass
        weights.append(session.finish()[1].weights)
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])

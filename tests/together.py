"""A program for the tests of several processes: `python together.py FOLDER TEXT` prints one JSON object.

It plays every scenario below with two forks of itself, which torchrun would have started, so that PyTorch is imported
once. What each process returns, or the error it ends with, is the result; who does not end within five minutes is
killed and has the result "hangs".
"""

import json
import os
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from unrolled.errors import UnrolledError
from unrolled.files import read_folder, sha256
from unrolled.learn import build
from unrolled.learn import optimizers as optim
from unrolled.learn import start as training
from unrolled.learn.distributed import World, join_world
from unrolled.learn.networks import RUNGS
from unrolled.learn.networks.network import CharNetwork
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.model.folder import ModelConfig

RECIPE = Recipe(
    rung="gru", hidden=8, embedding=4, streams=4, length=16, epochs=0.25, evaluations=3, dropout=0.2, layers=2
)
FLOAT64 = Machine(device="cpu", precision="float64", threads=1)
FLOAT32 = replace(FLOAT64, precision="float32")
SECONDS = 300
build.TRIAL_SECONDS = 0.0


def together(play, *arguments, size=2):
    """What `play(world, *arguments)` returns in each of `size` processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipes = []
    for rank in range(size):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            environment = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
            os.environ |= {name: f"{value}" for name, value in environment.items()} | {"MASTER_ADDR": "127.0.0.1"}
            _child(play, arguments, write)
        os.close(write)
        pipes.append((child, read))
    return [_result(child, read) for child, read in pipes]


def _child(play, arguments, write):
    signal.alarm(SECONDS)  # ends a process that hangs
    result = None
    try:
        with join_world() as processes:
            result = play(processes, *arguments)
    except UnrolledError as error:
        result = f"{type(error).__name__}: {error}"
    finally:
        os.write(write, json.dumps(result).encode())
        os._exit(0)


def _result(child, read):
    with os.fdopen(read) as pipe:
        content = pipe.read()
    status = os.waitpid(child, 0)[1]
    return (
        "hangs" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM else json.loads(content or "null")
    )


def train(processes, text, out, recipe, machine, at=None, do=None, before=None):
    """What came of a training; `do(processes)` is called after step `at`, `before(processes, session)` at the start."""
    said = []
    request = Request([] if text is None else [text], out, recipe, machine, resume=True, notify=said.append)
    session = training.prepare(request, processes)
    if before is not None:
        before(processes, session)
    losses, validations = [], []
    for record in session.run():
        losses.append(record.loss)
        validations += [] if record.validation is None else [record.validation]
        if record.step == at:
            do(processes)
    if session.interrupt is None:
        session.finish()
    state = session.task.network.state_dict()
    digest = sha256(b"".join(value.numpy().tobytes() for value in state.values()))
    return {
        "losses": losses, "validations": validations, "said": said, "step": session.state.progress.step,
        "weights": digest, "micro_batches": session.task.micro_batches,
    }  # fmt: skip


def alone(*arguments):
    """The same as one process."""
    return train(World(), *arguments)


def signalled(rank):
    """A signal that this rank alone sees."""
    return lambda processes: os.kill(os.getpid(), signal.SIGTERM) if processes.rank == rank else None


def vanish(processes):
    """Process 1 ends without a word."""
    if processes.rank == 1:
        os._exit(0)


def little_memory(processes, session):
    """Process 1 cannot take more than one stream at a time: PyTorch's own error, of an allocation that is too large."""
    whole = session.task.network.forward

    def forward(ids, state):
        if len(ids) > 1 and session.task.network.training and processes.rank == 1:
            torch.empty(1 << 60, dtype=torch.uint8)
        return whole(ids, state)

    session.task.network.forward = forward


def full_disk(processes, session):
    """The disk of the main process refuses every file."""

    def refuse(descriptor):
        raise OSError(28, os.strerror(28))

    os.fsync = refuse


def own_folder(processes, text, folder, *rest):
    """Each process has an --out of its own, as on two machines that share no disk."""
    result = train(processes, text, folder / f"rank-{processes.rank}", *rest)
    return result | {"wrote": (folder / f"rank-{processes.rank}").exists()}


def own_text(processes, text, folder):
    """Process 1 reads another text."""
    other = folder / "other.txt"
    if processes.rank == 1:
        other.write_text(text.read_text().upper())
    return train(processes, other if processes.rank == 1 else text, None, RECIPE, FLOAT32)


def precision_of(processes, text, refusing):
    """What is chosen when process 0 alone finds float32 faster; with `refusing`, process 1 has no bfloat16."""

    def trial(self, network, choice, give_up=0.0):
        if refusing and processes.rank and choice.precision == "bfloat16":
            raise RuntimeError("no kernel")
        return {"float32": (1.0, 4.0), "bfloat16": (2.0, 1.0)}[choice.precision][processes.rank]

    build.Builder.trial = trial
    session = training.prepare(Request([text], None, RECIPE, Machine("cpu", threads=1)), processes)
    return session.state.choice.precision


def muon_steps(processes):
    """Five steps of Muon on five matrices, and how many orthogonal factors were computed here."""
    calls, real = [], optim.orthogonal_factor

    def counted(matrix):
        calls.append(matrix.shape)
        return real(matrix)

    optim.orthogonal_factor = counted
    generator = torch.Generator().manual_seed(1)
    matrices = [torch.nn.Parameter(torch.randn(3 + i, 4, generator=generator, dtype=torch.float64)) for i in range(5)]
    muon = optim.Muon(matrices, 0.1, torch.float64, processes, weight_decay=0.1)
    for _ in range(5):
        for matrix in matrices:
            matrix.grad = torch.randn(matrix.shape, generator=generator, dtype=torch.float64)
        muon.step(0.5)
    return {"weights": [matrix.tolist() for matrix in matrices], "factors": len(calls) / 5}


IDS = torch.arange(8).repeat(4, 2) * torch.arange(1, 5)[:, None] % 9


def gradients(processes):
    """Of every rung on this process's share of the batch, through the hand-written backward passes."""
    found, share = {}, len(IDS) // processes.size
    for rung in RUNGS:
        network = CharNetwork(ModelConfig(rung, 9, 5, 6, 2)).double()
        ids = IDS[share * processes.rank :][:share]
        logits, _ = network(ids, network.initial_state(share))
        nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten()).backward()
        processes.average_([parameter.grad for parameter in network.parameters()])
        found[rung] = [parameter.grad.flatten().tolist() for parameter in network.parameters()]
    return found


def primitives(processes):
    """What the functions of World give."""
    rank = processes.rank
    main = b"" if rank else b"main"
    return {
        "any": [processes.any(rank == 1), processes.any(False)],
        "any_of": processes.any_of(rank == 0, False, True, rank == 1),
        "sum": processes.sum(rank + 0.5),
        "mean": processes.mean(rank + 0.5),
        "gather": processes.gather(torch.full((2, 1), float(rank))).tolist(),
        "from_main": [(processes.from_main(data) or b"none").decode() for data in (main, None, b"x")],
    }


def play(folder, text):
    """All scenarios by name."""
    found = {"primitives": together(primitives)}
    found["gradients"] = [*together(gradients), gradients(World())]
    found["muon"] = [*together(muon_steps), muon_steps(World())]
    for name in ("muon", "adamw"):
        recipe = replace(RECIPE, optimizer=name)
        found[f"equal {name}"] = [
            *together(train, text, None, recipe, FLOAT64), alone(text, None, recipe, FLOAT64)
        ]  # fmt: skip
    found["whole"] = together(train, text, folder / "whole", RECIPE, FLOAT32)
    found["stopped"] = together(train, text, folder / "run", RECIPE, FLOAT32, 7, signalled(1))
    found["resumed"] = together(train, None, folder / "run", Recipe(), Machine())
    found["folders"] = [sha256(read_folder(folder / name)["model.safetensors"]) for name in ("whole", "run")]
    together(train, text, folder / "fewer", RECIPE, FLOAT32, 7, signalled(0))
    found["fewer"] = [alone(None, folder / "fewer", Recipe(), Machine())]
    found["own folder"] = together(own_folder, text, folder, RECIPE, FLOAT32, 7, signalled(0))
    found["own folder again"] = together(own_folder, text, folder, RECIPE, FLOAT32)
    found["own text"] = together(own_text, text, folder)
    found["vanished"] = together(train, text, folder / "vanished", RECIPE, FLOAT32, 7, vanish)
    found["little memory"] = together(train, text, None, RECIPE, FLOAT64, None, None, little_memory)
    found["full disk"] = together(train, text, folder / "full", RECIPE, FLOAT64, None, None, full_disk)
    found["reference"] = together(train, text, folder / "reference", replace(RECIPE, epochs=0.5), FLOAT32)
    found["precision"] = [together(precision_of, text, refusing) for refusing in (False, True)]
    found["standard input"] = together(train, "-", None, RECIPE, FLOAT64)
    return found


if __name__ == "__main__":
    started = time.perf_counter()
    print(json.dumps(play(Path(sys.argv[1]), Path(sys.argv[2]))))
    print(f"{time.perf_counter() - started:.1f} s", file=sys.stderr)

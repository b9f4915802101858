"""A program for the test of killed runs: `python killing.py FOLDER TEXT KILLS SEED` prints one JSON object.

The parent has PyTorch imported and no more; each training is a fork of it, so that twenty kills do not pay for twenty
imports. A child trains with a checkpoint after every step and is killed at a random moment of its expected life.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from unrolled.errors import FolderError
from unrolled.files import is_complete, read_folder
from unrolled.learn import build
from unrolled.learn import start as training
from unrolled.learn.recipe import Machine, Recipe
from unrolled.learn.request import Request
from unrolled.model.char_model import CharModel

RECIPE = Recipe(hidden=8, embedding=4, streams=4, length=16, epochs=1.0, evaluations=4, dropout=0.2)
MACHINE = Machine(device="cpu", precision="float32", threads=1)


def train(text: str, run: Path) -> None:
    """A whole life of a training process, or the rest of one."""
    session = training.prepare(Request([text], run, RECIPE, MACHINE, resume=True, save_seconds=0.0))
    for _ in session.run():
        pass
    session.finish()


def fork(text: str, run: Path) -> int:
    """The process id of a child that trains."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        train(text, run)
        code = 0
    finally:
        os._exit(code)


def kill_after(child: int, seconds: float | None) -> bool:
    """Whether the child was killed; False if it had ended by itself before. Raises if it ended with an error."""
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)  # until it is waited for, its id is taken
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "a training process failed"
    return False


def unreadable(run: Path) -> list[str]:
    """What is wrong with the folder of a run whose process has vanished; nothing, where no checkpoint was begun."""
    found, whole = [], [path for path in run.glob("checkpoints/step-*") if is_complete(path)]
    for path in run.glob("checkpoints/step-*"):
        try:
            read_folder(path)
        except FolderError as error:
            found.append(f"{error}")
    if whole or is_complete(run):
        try:
            CharModel.from_pretrained(run, warn=found.append).next("a")
        except FolderError as error:
            found.append(f"{error}")
    return found


def main(folder: Path, text: str, kills: int, seed: int) -> dict[str, object]:
    """Kill and take up again until so many kills are done and the last run has ended."""
    rng = random.Random(seed)
    start = time.perf_counter()
    os.waitpid(fork(text, folder / "whole"), 0)
    life = time.perf_counter() - start
    wanted = read_folder(folder / "whole")["model.safetensors"]
    done, runs, bad, steps = 0, 0, [], []
    while done < kills:
        run, ended = folder / f"run-{runs}", False
        while not ended:
            killed = kill_after(fork(text, run), rng.uniform(0, 0.8 * life) if done < kills else None)
            ended = not killed or is_complete(run)
            done += killed
            steps += [max((int(path.name[5:]) for path in run.glob("checkpoints/step-*")), default=0)] * killed
            bad += unreadable(run)
        bad += [] if read_folder(run)["model.safetensors"] == wanted else [f"{run.name} has other weights"]
        runs += 1
    return {"kills": done, "runs": runs, "bad": bad, "life": round(life, 3), "steps": steps}


if __name__ == "__main__":
    build.TRIAL_SECONDS = 0.0
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))

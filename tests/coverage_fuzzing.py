"""A program for the soak: `python coverage_fuzzing.py SEED_FOLDER SECONDS` ends with an error at the first finding.

Guided by what of unrolled a folder reaches (atheris), it alters the files of a model, an encoder and a checkpoint: as
JSON, a wrong value at some place, or as bytes. SEED_FOLDER holds one folder of files for each, by the names below.
"""

import contextlib
import json
import random
import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["unrolled"], enable_loader_override=False):
    from unrolled.errors import UnrolledError
    from unrolled.files import from_json
    from unrolled.learn.checkpoint import TrainingState
    from unrolled.model.char_model import CharModel
    from unrolled.model.folder import ModelParts
    from unrolled.tables.encoder.folder import _tried, from_files

from fuzzing import GONE, WRONG, changed, places

READERS = {
    "model": lambda files: CharModel(ModelParts.from_files(files)).next("a", unknown="skip"),
    "encoder": lambda files: _tried(from_files(files, Path("encoder"))[0]),
    "checkpoint": TrainingState.from_files,
}
FOLDERS = {
    name: {path.name: path.read_bytes() for path in sorted((Path(sys.argv[1]) / name).iterdir())} for name in READERS
}
TARGETS = [
    (name, file) for name, files in FOLDERS.items() for file in files if file.endswith((".json", ".safetensors"))
]


def try_one(data):
    """The first byte says which file, the others are its content."""
    name, file = TARGETS[data[0] % len(TARGETS)] if data else TARGETS[0]
    with contextlib.suppress(UnrolledError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        READERS[name](FOLDERS[name] | {file: data[1:]})


def mutate(data, max_size, seed):
    """Three times in four a JSON file with another value at one or two places, else other bytes."""
    generator = random.Random(seed)
    try:
        content = from_json(data[1:], "x")
        if generator.random() < 0.25:
            raise ValueError
        for _ in range(generator.choice((1, 1, 2))):
            path = generator.choice(list(places(content)))
            value = generator.choice([GONE, *WRONG]) if not isinstance(path[-1], int) else generator.choice(WRONG)
            content = changed(content, path, value)
        return (data[:1] + json.dumps(content).encode())[:max_size]
    except (UnrolledError, ValueError, IndexError):
        return atheris.Mutate(data, max_size)


if __name__ == "__main__":
    corpus = Path(sys.argv[1]) / "corpus"
    corpus.mkdir()
    for i, (name, file) in enumerate(TARGETS):
        (corpus / f"{name}-{file}").write_bytes(bytes([i]) + FOLDERS[name][file])
    options = [sys.argv[0], str(corpus), f"-max_total_time={sys.argv[2]}", "-max_len=200000", "-rss_limit_mb=4096",
               "-print_final_stats=1"]  # fmt: skip
    atheris.Setup(options, try_one, custom_mutator=mutate)
    atheris.Fuzz()

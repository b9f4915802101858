"""A fitted encoder as a folder: `encoder.json`, `vectors.safetensors`, a README, and a manifest of SHA-256 sums.

No pickle, no code: loading reads JSON and arrays, is strict about both, and needs no PyTorch. Settings that are objects
(splitters, a RandomState) only matter to another fit and are not kept. Left out: the writing itself (`unrolled.files`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from unrolled import __version__
from unrolled.errors import FolderError
from unrolled.files import from_json, read_folder, to_json, write_folder
from unrolled.tables.data.target import Target
from unrolled.tables.encoder.alignment import Alignment
from unrolled.tables.encoder.coding import Coding, Scaling
from unrolled.tables.encoder.config import EncoderConfig, find_config
from unrolled.tables.encoder.fitted import Fitted, Statistics
from unrolled.tables.encoder.ngrams import NGrams
from unrolled.tables.encoder.schema import Field, Schema
from unrolled.tables.encoder.spelling import Spelling
from unrolled.tables.encoder.vectors import Scales, Vectors
from unrolled.tables.encoder.weights import NetworkWeights

FORMAT = 3
"""1 had no sensitivity: vectors and numbers were handed on in the scale of the networks. 2 read no names."""
CONFIG, ARRAYS, CARD = "encoder.json", "vectors.safetensors", "README.md"
RENAMED = {"least_steps": "min_steps", "second_moment": "beta2", "embedding_spread": "embedding_std",
           "dropout": "unknown_fraction", "strangers": "masked_fraction", "measured": "scale_by_sensitivity",
           "smooth": "smoothing"}  # fmt: skip
"""Names that settings had in earlier versions, and those they have now."""
SPELLING = ("hashes", "weights", "vectors", "mean", "deviations")
DTYPES = {"string": object, "boolean": bool, "integer": np.int64, "number": np.float64}

Arrays = dict[str, NDArray[Any]]


def save(fitted: Fitted, settings: Mapping[str, Any], folder: Path) -> None:
    """Write a fitted encoder and the parameters it was made with. Raises FolderError if `folder` holds something."""
    statistics = fitted.statistics
    config = {
        "format": FORMAT, "kind": "EntityEncoder", "unrolled": __version__, "settings": _plain_settings(settings),
        "n_features_in": statistics.features,
        "feature_names_in": None if statistics.feature_names is None else list(statistics.feature_names),
        "fields": [_field(field) for field in fitted.schema.fields],
        "dimensions": list(fitted.schema.dimensions), "target": _target(fitted.target),
        "interrupted": fitted.interrupted, "sigmoid": fitted.weights.sigmoid,
        "explained": {fitted.schema.codings[i].name: share for i, share in fitted.explained.items()},
    }  # fmt: skip
    files = {CONFIG: to_json(config), ARRAYS: save_arrays(_arrays(fitted)), CARD: _card(fitted).encode()}
    write_folder(folder, files)


def load(folder: Path) -> tuple[Fitted, dict[str, Any]]:
    """The fitted encoder in a folder, and its parameters.

    Raises FolderError for a folder that is missing, damaged, newer or not an encoder.
    """
    files = read_folder(folder)
    if CONFIG not in files or ARRAYS not in files:
        raise FolderError(f"{folder} holds no encoder: {CONFIG} and {ARRAYS} were expected")
    config = from_json(files[CONFIG], CONFIG)
    if config.get("kind") != "EntityEncoder" or not isinstance(config.get("format"), int):
        raise FolderError(f"{folder} holds no encoder: {CONFIG} does not say so")
    if config["format"] > FORMAT:
        raise FolderError(f"{folder} has format {config['format']}, newer than the {FORMAT} known here")
    try:
        settings = config["settings"]
        if isinstance(settings.get("recipe"), dict):
            settings["recipe"] = _read_config(settings["recipe"])
        return _read_fitted(config, find_config(settings["recipe"]), load_arrays(files[ARRAYS])), settings
    except (KeyError, TypeError, ValueError, IndexError, SafetensorError) as error:
        raise FolderError(f"{folder} is not an encoder that can be read: {type(error).__name__} {error}") from None


def _plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    recipe = settings["recipe"]
    named = {**settings, "recipe": asdict(recipe) if isinstance(recipe, EncoderConfig) else recipe}
    return {name: value for name, value in named.items() if _is_plain(value)}


def _read_config(entry: dict[str, Any]) -> EncoderConfig:
    values = {RENAMED.get(name, name): value for name, value in entry.items()}
    return EncoderConfig(**(values | {"hidden": values["hidden"] and tuple(values["hidden"])}))


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or type(value) in (str, int, float, bool)


def _list(values: NDArray[Any] | None) -> list[Any] | None:
    return None if values is None else values.tolist()


def _field(field: Field) -> dict[str, Any]:
    coding = field.coding
    common = {"source": field.source, "part": field.part, "reason": field.reason, "name": coding.name}
    if isinstance(coding, Scaling):
        return common | {"mean": coding.mean, "deviation": coding.deviation, "marks_missing": coding.marks_missing}
    return common | {"kind": coding.kind, "known": coding.known.tolist(), "merged": coding.merged.tolist(),
                     "counts": coding.counts.tolist()}  # fmt: skip


def _read_field(entry: dict[str, Any]) -> Field:
    if "known" not in entry:
        scaling = Scaling(entry["name"], float(entry["mean"]), float(entry["deviation"]), bool(entry["marks_missing"]))
        return Field(entry["source"], None, scaling, entry["reason"])
    dtype = DTYPES[entry["kind"]]
    coding = Coding(entry["name"], entry["kind"], np.array(entry["known"], dtype=dtype),
                    np.array(entry["merged"], dtype=dtype), np.array(entry["counts"], dtype=np.int64))  # fmt: skip
    return Field(entry["source"], entry["part"], coding, entry["reason"])


def _target(target: Target) -> dict[str, Any]:
    return {"kind": target.kind, "single": target.single, "classes": _list(target.classes), "log": target.log,
            "mean": _list(target.mean), "deviation": _list(target.deviation)}  # fmt: skip


def _read_target(entry: dict[str, Any]) -> Target:
    classes = entry["classes"]
    if classes is not None:
        classes = np.array(classes, dtype=object if isinstance(classes[0], str) else None)
    mean, deviation = (None if entry[name] is None else np.array(entry[name], float) for name in ("mean", "deviation"))
    return Target(entry["kind"], entry["single"], classes, entry["log"], mean, deviation)


def _arrays(fitted: Fitted) -> Arrays:
    arrays: Arrays = {}
    weights, vectors = fitted.weights, fitted.vectors
    for i, coding in enumerate(fitted.schema.codings):
        alignment = vectors.alignments[i]
        own: Arrays = {"vectors": vectors.tables[i], "spread": vectors.spreads[i], "centres": alignment.centres,
               "rotations": alignment.rotations, "networks": weights.tables[i],
               "target_mean": fitted.statistics.target_means[i]}  # fmt: skip
        spelling = fitted.spellings.get(i)
        if spelling is not None:
            ngrams = spelling.ngrams
            arrays_of = (ngrams.hashes, ngrams.weights, spelling.vectors, spelling.mean, spelling.deviations)
            own |= {f"spelling_{name}": array for name, array in zip(SPELLING, arrays_of, strict=True)}
            own["components"] = fitted.components[i]
        arrays |= {f"fields.{i}.{coding.name}.{name}": array for name, array in own.items()}
    for i, (weight, bias) in enumerate(zip(weights.weights, weights.biases, strict=True)):
        arrays |= {f"layers.{i}.weight": weight, f"layers.{i}.bias": bias}
    optional = {"skip.weight": weights.skip, "sensitivity": weights.sensitivity}
    arrays |= {name: array for name, array in optional.items() if array is not None}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _read_fitted(entry: dict[str, Any], config: EncoderConfig, arrays: Arrays) -> Fitted:
    schema = Schema(tuple(map(_read_field, entry["fields"])), tuple(entry["dimensions"]))
    own = [_take_field(arrays, i, coding, schema.dimensions[i]) for i, coding in enumerate(schema.codings)]
    if len(own) != len(schema.dimensions):
        raise ValueError(f"there are {len(own)} columns of categories, but {len(schema.dimensions)} dimensions")
    components = {i: array for i, c in enumerate(schema.codings)
                  if (array := arrays.pop(f"fields.{i}.{c.name}.components", None)) is not None}  # fmt: skip
    spellings = _take_spellings(arrays, schema, components)
    weights = _take_weights(arrays, [arrays_of["networks"] for arrays_of in own], entry["sigmoid"])
    if arrays:
        raise ValueError(f"array {next(iter(arrays))} is not part of an encoder")
    vectors = Vectors(
        Scales.of(weights),
        [arrays_of["vectors"] for arrays_of in own],
        [Alignment(arrays_of["centres"], arrays_of["rotations"]) for arrays_of in own],
        [arrays_of["spread"] for arrays_of in own],
    )
    names = entry["feature_names_in"]
    means = [arrays_of["target_mean"] for arrays_of in own]
    statistics = Statistics(schema, _read_target(entry["target"]), means, entry["n_features_in"],
                            None if names is None else tuple(names))  # fmt: skip
    explained = {schema.position(name): float(share) for name, share in entry.get("explained", {}).items()}
    return Fitted(statistics, config, weights, vectors, entry["interrupted"], spellings, explained, components)


def _take_field(arrays: Arrays, i: int, coding: Coding, dimension: int) -> Arrays:
    """The arrays of one category field, removed from `arrays`."""
    own = {name: arrays.pop(f"fields.{i}.{coding.name}.{name}")
           for name in ("vectors", "spread", "centres", "rotations", "networks", "target_mean")}  # fmt: skip
    shape, given = (coding.rows, dimension), own["vectors"].shape
    if given != shape or own["networks"].shape[1:] != shape:
        raise ValueError(f"column {coding.name!r} needs vectors of shape {shape}, not {given}")
    return own


def _take_spellings(arrays: Arrays, schema: Schema, components: Mapping[int, NDArray[Any]]) -> dict[int, Spelling]:
    """How the names of each column that has `components` are read, removed from `arrays`."""
    spellings = {}
    for i, beside in components.items():
        coding = schema.codings[i]
        own = {name: arrays.pop(f"fields.{i}.{coding.name}.spelling_{name}") for name in SPELLING}
        width, count = schema.dimensions[i] + beside.shape[1], len(own["hashes"])
        shapes = {"hashes": (count,), "weights": (count,), "vectors": (count, width), "mean": (width,),
                  "deviations": (len(own["deviations"]), schema.dimensions[i])}  # fmt: skip
        if len(beside) != coding.rows:
            raise ValueError(f"column {coding.name!r} needs components of {coding.rows} rows, not {len(beside)}")
        if {name: array.shape for name, array in own.items()} != shapes:
            raise ValueError(f"the spelling of column {coding.name!r} needs arrays of shapes {shapes}")
        originals = tuple(coding.known[: len(own["deviations"])])
        ngrams = NGrams(own["hashes"], own["weights"])
        spellings[i] = Spelling(ngrams, own["vectors"], own["mean"], originals, own["deviations"])
    return spellings


def _take_weights(arrays: Arrays, tables: list[NDArray[np.float32]], sigmoid: bool) -> NetworkWeights:
    skip, sensitivity = arrays.pop("skip.weight", None), arrays.pop("sensitivity", None)
    layers = range(len(arrays) // 2)
    weights, biases = ([arrays.pop(f"layers.{i}.{name}") for i in layers] for name in ("weight", "bias"))
    return NetworkWeights(tables, weights, biases, skip, sigmoid, sensitivity)


def _card(fitted: Fitted) -> str:
    lines = "\n".join(f"- {line}" for line in fitted.describe())
    return (
        "---\nlibrary_name: unrolled\ntags:\n- entity-embeddings\n- tabular\n---\n\n# Entity embeddings\n\n"
        f"Vectors for categories, learned by {fitted.weights.count} small networks that predict the target.\n\n"
        f"{lines}\n\n"
        "```python\nfrom unrolled.tables.encoder.estimator import EntityEncoder\n\n"
        'encoder = EntityEncoder.from_pretrained("this folder")\nencoder.transform(table)\n```\n'
    )

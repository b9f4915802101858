"""A fitted encoder as a folder: `encoder.json`, `vectors.safetensors`, a README, and a manifest of SHA-256 sums.

No pickle, no code: loading reads JSON and arrays, is strict about both, and needs no PyTorch. Settings that are objects
(splitters, a RandomState) only matter to another fit and are not kept. Left out: the writing itself (`unrolled.files`).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from unrolled.tables.encoder.config import Recipe
from unrolled.tables.encoder.schema import Field, Schema
from unrolled.tables.encoder.vectors import Scales, Vectors
from unrolled.tables.encoder.weights import Trained

if TYPE_CHECKING:
    from unrolled.tables.encoder.estimator import EntityEncoder

FORMAT = 2
"""1 had no sensitivity: vectors and numbers were handed on in the scale of the networks."""
CONFIG, ARRAYS, CARD = "encoder.json", "vectors.safetensors", "README.md"
DTYPES = {"string": object, "boolean": bool, "integer": np.int64, "number": np.float64}

Arrays = dict[str, NDArray[Any]]


def save(encoder: EntityEncoder, folder: Path) -> None:
    """Write a fitted encoder. Raises FolderError if `folder` holds something already."""
    config = {
        "format": FORMAT, "kind": "EntityEncoder", "unrolled": __version__, "settings": _settings(encoder),
        "n_features_in": encoder.n_features_in_,
        "feature_names_in": _list(getattr(encoder, "feature_names_in_", None)),
        "fields": [_field(field) for field in encoder.schema_.fields],
        "dimensions": list(encoder.dimensions_), "target": _target(encoder.target_),
        "interrupted": encoder.interrupted_, "sigmoid": encoder.networks_.sigmoid,
    }  # fmt: skip
    files = {CONFIG: to_json(config), ARRAYS: save_arrays(_arrays(encoder)), CARD: _card(encoder).encode()}
    write_folder(folder, files)


def load(folder: Path, encoder: EntityEncoder) -> EntityEncoder:
    """Fill `encoder` from a folder. Raises FolderError for one that is missing, damaged, newer or not an encoder."""
    files = read_folder(folder)
    if CONFIG not in files or ARRAYS not in files:
        raise FolderError(f"{folder} holds no encoder: {CONFIG} and {ARRAYS} were expected")
    config = from_json(files[CONFIG], CONFIG)
    if config.get("kind") != "EntityEncoder" or not isinstance(config.get("format"), int):
        raise FolderError(f"{folder} holds no encoder: {CONFIG} does not say so")
    if config["format"] > FORMAT:
        raise FolderError(f"{folder} has format {config['format']}, newer than the {FORMAT} known here")
    try:
        return _fill(encoder, config, load_arrays(files[ARRAYS]))
    except (KeyError, TypeError, ValueError, IndexError, SafetensorError) as error:
        raise FolderError(f"{folder} is not an encoder that can be read: {type(error).__name__} {error}") from None


def _settings(encoder: EntityEncoder) -> dict[str, Any]:
    settings = encoder.get_params(deep=False)
    recipe = settings["recipe"]
    settings["recipe"] = asdict(recipe) if isinstance(recipe, Recipe) else recipe
    return {name: value for name, value in settings.items() if _is_plain(value)}


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


def _arrays(encoder: EntityEncoder) -> Arrays:
    arrays: Arrays = {}
    networks, vectors = encoder.networks_, encoder.vectors_
    for i, coding in enumerate(encoder.schema_.codings):
        alignment = vectors.alignments[i]
        own: Arrays = {"vectors": vectors.tables[i], "spread": vectors.spreads[i], "centres": alignment.centres,
               "rotations": alignment.rotations, "networks": networks.tables[i],
               "target_mean": encoder.target_means_[i]}  # fmt: skip
        arrays |= {f"fields.{i}.{coding.name}.{name}": array for name, array in own.items()}
    for i, (weight, bias) in enumerate(zip(networks.weights, networks.biases, strict=True)):
        arrays |= {f"layers.{i}.weight": weight, f"layers.{i}.bias": bias}
    optional = {"skip.weight": networks.skip, "sensitivity": networks.sensitivity}
    arrays |= {name: array for name, array in optional.items() if array is not None}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _fill(encoder: EntityEncoder, config: dict[str, Any], arrays: Arrays) -> EntityEncoder:
    settings = config["settings"]
    if isinstance(settings.get("recipe"), dict):
        recipe = settings["recipe"]
        settings["recipe"] = Recipe(**(recipe | {"hidden": tuple(recipe["hidden"])}))
    encoder.set_params(**settings)
    encoder.n_features_in_, encoder.interrupted_ = config["n_features_in"], config["interrupted"]
    if config["feature_names_in"] is not None:
        encoder.feature_names_in_ = np.array(config["feature_names_in"], dtype=object)
    encoder.schema_ = Schema(tuple(map(_read_field, config["fields"])))
    encoder.dimensions_, encoder.target_ = tuple(config["dimensions"]), _read_target(config["target"])
    target = encoder.target_
    encoder.target_type_, encoder.log_target_, encoder.classes_ = target.kind, target.log, target.classes
    _fill_arrays(encoder, arrays, config["sigmoid"])
    return encoder


def _fill_arrays(encoder: EntityEncoder, arrays: Arrays, sigmoid: bool) -> None:
    tables, alignments, spreads, networks, means = [], [], [], [], []
    for i, (coding, dimension) in enumerate(zip(encoder.schema_.codings, encoder.dimensions_, strict=True)):
        own = {name: arrays.pop(f"fields.{i}.{coding.name}.{name}")
               for name in ("vectors", "spread", "centres", "rotations", "networks", "target_mean")}  # fmt: skip
        shape, given = (coding.rows, dimension), own["vectors"].shape
        if given != shape or own["networks"].shape[1:] != shape:
            raise ValueError(f"column {coding.name!r} needs vectors of shape {shape}, not {given}")
        tables.append(own["vectors"])
        alignments.append(Alignment(own["centres"], own["rotations"]))
        spreads.append(own["spread"])
        networks.append(own["networks"])
        means.append(own["target_mean"])
    skip, sensitivity = arrays.pop("skip.weight", None), arrays.pop("sensitivity", None)
    layers = range(len(arrays) // 2)
    weights, biases = ([arrays.pop(f"layers.{i}.{name}") for i in layers] for name in ("weight", "bias"))
    if arrays:
        raise ValueError(f"array {next(iter(arrays))} is not part of an encoder")
    encoder.networks_ = Trained(networks, weights, biases, skip, sigmoid, sensitivity)
    encoder.target_means_ = means
    encoder.vectors_ = Vectors(Scales.of(encoder.networks_), tables, alignments, spreads)


def _card(encoder: EntityEncoder) -> str:
    lines = "\n".join(f"- {line}" for line in encoder.describe())
    return (
        "---\nlibrary_name: unrolled\ntags:\n- entity-embeddings\n- tabular\n---\n\n# Entity embeddings\n\n"
        f"Vectors for categories, learned by {encoder.networks_.count} small networks that predict the target.\n\n"
        f"{lines}\n\n"
        "```python\nfrom unrolled.tables.encoder.estimator import EntityEncoder\n\n"
        'encoder = EntityEncoder.from_pretrained("this folder")\nencoder.transform(table)\n```\n'
    )

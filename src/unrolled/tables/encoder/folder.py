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

from unrolled import __version__
from unrolled.errors import FolderError
from unrolled.files import from_json, read_folder, to_json, write_folder
from unrolled.model.tensors import read_tensors, write_tensors
from unrolled.tables.data.target import Target
from unrolled.tables.encoder.alignment import Alignment
from unrolled.tables.encoder.coding import Coding, Constant, Scaling
from unrolled.tables.encoder.config import EncoderConfig, find_config
from unrolled.tables.encoder.fitted import Fitted, Statistics
from unrolled.tables.encoder.free_text import FreeText
from unrolled.tables.encoder.ngrams import NGrams
from unrolled.tables.encoder.schema import Encoded, Field, Schema
from unrolled.tables.encoder.spelling import Spelling
from unrolled.tables.encoder.stored import (
    Stored,
    StoredCategories,
    StoredConstant,
    StoredNumbers,
    StoredTarget,
    StoredText,
    read_stored,
)
from unrolled.tables.encoder.vectors import Scales, Vectors
from unrolled.tables.encoder.weights import NetworkWeights
from unrolled.typed import check_format

FORMAT = 6
"""1 had no sensitivity: vectors and numbers were handed on in the scale of the networks. 2 read no names. 3 had neither
main axes, free text, means of the target nor a prediction. 5 had vectors of constant columns."""
CONFIG, ARRAYS, CARD = "encoder.json", "vectors.safetensors", "README.md"
RENAMED = {"least_steps": "min_steps", "second_moment": "beta2", "embedding_spread": "embedding_std",
           "dropout": "unknown_fraction", "strangers": "masked_fraction", "measured": "scale_by_sensitivity",
           "smooth": "smoothing"}  # fmt: skip
"""Names that settings had in earlier versions, and those they have now."""
TEXT = ("hashes", "weights", "vectors", "mean")
SPELLING = (*TEXT, "deviations")
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
        "outputs": fitted.names_out(), "interrupted": fitted.interrupted,
        "predicts": fitted.predicts, "sigmoid": fitted.weights.sigmoid,
        "explained": {fitted.schema.codings[i].name: share for i, share in fitted.explained.items()},
    }  # fmt: skip
    files = {CONFIG: to_json(config), ARRAYS: write_tensors(_arrays(fitted)), CARD: _card(fitted).encode()}
    write_folder(folder, files)


def load(folder: Path) -> tuple[Fitted, dict[str, Any]]:
    """The fitted encoder in a folder, and its parameters.

    Raises FolderError for a folder that is missing, damaged, newer or not an encoder.
    """
    return from_files(read_folder(folder), folder)


def from_files(files: Mapping[str, bytes], folder: Path) -> tuple[Fitted, dict[str, Any]]:
    """What `load` gives, from the files of the folder, which is named in errors."""
    if CONFIG not in files or ARRAYS not in files:
        raise FolderError(f"{folder} holds no encoder: {CONFIG} and {ARRAYS} were expected")
    config = from_json(files[CONFIG], f"{folder / CONFIG}")
    check_format(config.get("format"), FORMAT, f"{folder / CONFIG}")
    stored = read_stored(config, f"{folder / CONFIG}", RENAMED)
    try:
        settings = {name: getattr(stored.settings, name) for name in config["settings"]}
        fitted = _read_fitted(stored, find_config(stored.settings.recipe), read_tensors(files[ARRAYS], ARRAYS))
        return _tried(fitted), settings
    except (FolderError, KeyError, TypeError, ValueError, IndexError) as error:
        raise FolderError(f"{folder} cannot be read as an encoder: {type(error).__name__} {error}") from None


def _tried(fitted: Fitted) -> Fitted:
    """`fitted`, after one row of unknown categories has gone through it: arrays that do not fit are refused here."""
    numbers = sum(scaling.width for scaling in fitted.schema.scalings)
    row = Encoded(np.zeros((1, len(fitted.schema.codings)), np.int32), np.zeros((1, numbers), np.float32))
    fitted.transform(row), fitted.predict(row)
    return fitted


def _plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    recipe = settings["recipe"]
    named = {**settings, "recipe": asdict(recipe) if isinstance(recipe, EncoderConfig) else recipe}
    return {name: value for name, value in named.items() if _is_plain(value)}


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
    common = {"source": field.source, "part": field.part, "reason": field.reason, "name": coding.name,
              "form": field.form, "handed_on": field.handed_on}  # fmt: skip
    if isinstance(coding, FreeText):
        return common | {"text": True, "separator": coding.ngrams.separator}
    if isinstance(coding, Constant):
        return common | {"value": coding.value}
    if isinstance(coding, Scaling):
        return common | {"mean": coding.mean, "deviation": coding.deviation, "marks_missing": coding.marks_missing,
                         "knots": list(coding.knots)}  # fmt: skip
    return common | {"kind": coding.kind, "known": coding.known.tolist(), "merged": coding.merged.tolist(),
                     "counts": coding.counts.tolist()}  # fmt: skip


def _read_field(entry: StoredNumbers | StoredCategories | StoredText | StoredConstant, arrays: Arrays) -> Field:
    if isinstance(entry, StoredText):
        hashes, weights, vectors, mean = (arrays.pop(f"texts.{entry.name}.{name}") for name in TEXT)
        shapes = {"weights": (len(hashes),), "vectors": (len(hashes), len(mean))}
        _check_shapes({"weights": weights, "vectors": vectors}, shapes, f"the text {entry.name!r}")
        text = FreeText(entry.name, NGrams(hashes, weights, entry.separator), vectors, mean)
        return Field(entry.source, None, text, entry.reason)
    if isinstance(entry, StoredConstant):
        return Field(entry.source, entry.part, Constant(entry.name, entry.value), entry.reason, entry.form)
    if isinstance(entry, StoredNumbers):
        scaling = Scaling(entry.name, entry.mean, entry.deviation, entry.marks_missing, tuple(entry.knots))
        return Field(entry.source, entry.part, scaling, entry.reason, entry.form)
    known, merged = (np.array(values, dtype=DTYPES[entry.kind]) for values in (entry.known, entry.merged))
    coding = Coding(entry.name, entry.kind, known, merged, np.array(entry.counts, dtype=np.int64))
    return Field(entry.source, entry.part, coding, entry.reason, entry.form, entry.handed_on)


def _target(target: Target) -> dict[str, Any]:
    return {"kind": target.kind, "single": target.single, "classes": _list(target.classes), "log": target.log,
            "mean": _list(target.mean), "deviation": _list(target.deviation)}  # fmt: skip


def _read_target(entry: StoredTarget) -> Target:
    classes = None
    if entry.classes is not None:
        classes = np.array(entry.classes, dtype=object if isinstance(entry.classes[0], str) else None)
    mean, deviation = (None if values is None else np.array(values) for values in (entry.mean, entry.deviation))
    return Target(entry.kind, entry.single, classes, entry.log, mean, deviation)


def _arrays(fitted: Fitted) -> Arrays:
    arrays: Arrays = {}
    weights, vectors = fitted.weights, fitted.vectors
    for i, coding in enumerate(fitted.schema.codings):
        alignment = vectors.alignments[i]
        own: Arrays = {"vectors": vectors.tables[i], "spread": vectors.spreads[i], "centres": alignment.centres,
               "rotations": alignment.rotations, "networks": weights.tables[i],
               "target_mean": fitted.statistics.target_means[i]}  # fmt: skip
        if vectors.axes:
            own["axes"] = vectors.axes[i]
        if i in fitted.means:
            own["mean"] = fitted.means[i]
        spelling = fitted.spellings.get(i)
        if spelling is not None:
            ngrams = spelling.ngrams
            arrays_of = (ngrams.hashes, ngrams.weights, spelling.vectors, spelling.mean, spelling.deviations)
            own |= {f"spelling_{name}": array for name, array in zip(SPELLING, arrays_of, strict=True)}
            own["components"] = fitted.components[i]
        arrays |= {f"fields.{i}.{coding.name}.{name}": array for name, array in own.items()}
    for text in (scaling for scaling in fitted.schema.scalings if isinstance(scaling, FreeText)):
        of_text = (text.ngrams.hashes, text.ngrams.weights, text.vectors, text.mean)
        arrays |= {f"texts.{text.name}.{name}": array for name, array in zip(TEXT, of_text, strict=True)}
    for i, (weight, bias) in enumerate(zip(weights.weights, weights.biases, strict=True)):
        arrays |= {f"layers.{i}.weight": weight, f"layers.{i}.bias": bias}
    optional = {"skip.weight": weights.skip, "sensitivity": weights.sensitivity}
    arrays |= {name: array for name, array in optional.items() if array is not None}
    return arrays


def _read_fitted(entry: Stored, config: EncoderConfig, arrays: Arrays) -> Fitted:
    _check_numbers(arrays)
    schema = Schema(tuple(_read_field(field, arrays) for field in entry.fields), tuple(entry.dimensions))
    own = [_take_field(arrays, i, coding, schema.dimensions[i]) for i, coding in enumerate(schema.codings)]
    target = _read_target(entry.target)
    means_out = _take_means(arrays, schema, target.outputs)
    components = {i: array for i, c in enumerate(schema.codings)
                  if (array := arrays.pop(f"fields.{i}.{c.name}.components", None)) is not None}  # fmt: skip
    spellings = _take_spellings(arrays, schema, components)
    if entry.sigmoid != (config.output == "sigmoid" and entry.target.kind == "continuous"):
        raise ValueError(f"sigmoid is {entry.sigmoid}, but the output of the recipe {config.output}")
    weights = _take_weights(arrays, [arrays_of["networks"] for arrays_of in own], entry.sigmoid, target.outputs)
    if arrays:
        raise ValueError(f"array {next(iter(arrays))} is not part of an encoder")
    vectors = Vectors(
        Scales.of(weights),
        [arrays_of["vectors"] for arrays_of in own],
        [Alignment(arrays_of["centres"], arrays_of["rotations"]) for arrays_of in own],
        [arrays_of["spread"] for arrays_of in own],
        tuple(arrays_of["axes"] for arrays_of in own if "axes" in arrays_of),
    )
    names = None if entry.feature_names_in is None else tuple(entry.feature_names_in)
    means = [arrays_of["target_mean"] for arrays_of in own]
    statistics = Statistics(schema, target, means, entry.n_features_in, names)
    explained = {schema.position(name): share for name, share in entry.explained.items()}
    fitted = Fitted(statistics, config, weights, vectors, entry.interrupted, spellings, explained, components,
                    means_out, bool(entry.predicts))  # fmt: skip
    if entry.outputs is not None and fitted.names_out() != entry.outputs:
        raise ValueError("the arrays do not produce the columns that outputs names")
    return fitted


def _check_numbers(arrays: Arrays) -> None:
    """Raises ValueError for an array of no numbers, or of some that are not finite; a single network has no spread."""
    for name, array in arrays.items():
        is_hash = name.endswith("hashes")
        if array.dtype.kind != ("u" if is_hash else "f"):
            raise ValueError(f"{name} holds {array.dtype}")
        if not is_hash and not np.isfinite(array).all() and not name.endswith(".spread"):
            raise ValueError(f"{name} holds numbers that are not finite")


def _check_shapes(arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]], of: str) -> None:
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{of} needs {name} of shape {shape}, not {arrays[name].shape}")


def _take_field(arrays: Arrays, i: int, coding: Coding, dimension: int) -> Arrays:
    """The arrays of one category field, removed from `arrays`."""
    names = ("vectors", "spread", "centres", "rotations", "networks", "target_mean")
    own = {name: arrays.pop(f"fields.{i}.{coding.name}.{name}") for name in names}
    count, axes = len(own["networks"]), arrays.pop(f"fields.{i}.{coding.name}.axes", None)
    shapes = {"vectors": (coding.rows, dimension), "spread": (coding.rows,), "target_mean": (coding.rows,),
              "networks": (count, coding.rows, dimension), "centres": (count, dimension),
              "rotations": (count, dimension, dimension)}  # fmt: skip
    if axes is not None:
        own, shapes = own | {"axes": axes}, shapes | {"axes": (dimension, axes.shape[-1])}
    _check_shapes(own, shapes, f"column {coding.name!r}")
    if (np.linalg.matrix_rank(own["rotations"]) < dimension).any():
        raise ValueError(f"a rotation of column {coding.name!r} has no inverse")
    return own


def _take_means(arrays: Arrays, schema: Schema, outputs: int) -> dict[int, NDArray[np.float32]]:
    """The mean target of each category where it is handed on, by position of the field, removed from `arrays`."""
    means = {}
    for i, coding in enumerate(schema.codings):
        own = arrays.pop(f"fields.{i}.{coding.name}.mean", None)
        if own is not None:
            _check_shapes({"mean": own}, {"mean": (coding.rows, outputs)}, f"column {coding.name!r}")
            means[i] = own
    return means


def _take_spellings(arrays: Arrays, schema: Schema, components: Mapping[int, NDArray[Any]]) -> dict[int, Spelling]:
    """How the names of each column that has `components` are read, removed from `arrays`."""
    spellings = {}
    for i, beside in components.items():
        coding = schema.codings[i]
        own = {name: arrays.pop(f"fields.{i}.{coding.name}.spelling_{name}") for name in SPELLING}
        width, count = schema.dimensions[i] + beside.shape[1], len(own["hashes"])
        shapes = {"hashes": (count,), "weights": (count,), "vectors": (count, width), "mean": (width,),
                  "deviations": (len(own["deviations"]), schema.dimensions[i])}  # fmt: skip
        _check_shapes(own | {"components": beside}, shapes | {"components": (coding.rows, beside.shape[1])},
                      f"the spelling of column {coding.name!r}")  # fmt: skip
        if coding.kind != "string" or not 1 <= len(own["deviations"]) <= len(coding.known):
            raise ValueError(f"column {coding.name!r} has no names with a spelling")
        if not count or (np.diff(own["hashes"].astype(np.int64)) <= 0).any():
            raise ValueError(f"the n-grams of column {coding.name!r} are not in increasing order")
        originals = tuple(coding.known[: len(own["deviations"])])
        ngrams = NGrams(own["hashes"], own["weights"])
        spellings[i] = Spelling(ngrams, own["vectors"], own["mean"], originals, own["deviations"])
    return spellings


def _take_weights(arrays: Arrays, tables: list[NDArray[np.float32]], sigmoid: bool, outputs: int) -> NetworkWeights:
    skip, sensitivity = arrays.pop("skip.weight", None), arrays.pop("sensitivity", None)
    layers = range(len(arrays) // 2)
    weights, biases = ([arrays.pop(f"layers.{i}.{name}") for i in layers] for name in ("weight", "bias"))
    count, inputs, _ = weights[0].shape
    shapes: dict[str, tuple[int, ...]] = {
        f"layers.{i}.bias": (count, 1, weight.shape[2]) for i, weight in enumerate(weights)
    }
    found = {f"layers.{i}.bias": bias for i, bias in enumerate(biases)}
    if skip is not None:
        found, shapes = found | {"skip": skip}, shapes | {"skip": (count, inputs, outputs)}
    if sensitivity is not None:
        found, shapes = found | {"sensitivity": sensitivity}, shapes | {"sensitivity": (inputs,)}
    _check_shapes(found, shapes, f"an encoder of {count} networks")
    if {len(array) for array in (*weights, *tables)} != {count} or weights[-1].shape[2] != outputs:
        raise ValueError(f"the layers are not those of {count} networks with {outputs} outputs")
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

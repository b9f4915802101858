"""A fitted encoder as a folder: `encoder.json`, `vectors.safetensors`, a README, and a manifest of SHA-256 sums.

No pickle, no code: loading reads JSON and arrays, is strict about both, and needs no PyTorch. Settings that are objects
(splitters, a RandomState) only matter to another fit and are not kept. Left out: the writing itself (`unrolled.files`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
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
OPTIONAL = ("axes", "components", "mean")
"""Arrays that not every field of categories has."""
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
        "dimensions": list(fitted.schema.dimensions), "target": _plain_fields(fitted.target),
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
        recipe = find_config(stored.settings.get("recipe", "default"))
        return _tried(_read_fitted(stored, recipe, read_tensors(files[ARRAYS], ARRAYS))), stored.settings
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


def _field(field: Field) -> dict[str, Any]:
    coding = field.coding
    common = {"source": field.source, "part": field.part, "reason": field.reason, "form": field.form,
              "handed_on": field.handed_on}  # fmt: skip
    if isinstance(coding, FreeText):
        return common | {"name": coding.name, "text": True, "separator": coding.ngrams.separator}
    return common | _plain_fields(coding)


def _plain_fields(of: Coding | Scaling | Constant | Target) -> dict[str, Any]:
    values = {one.name: getattr(of, one.name) for one in fields(of)}
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def _read_field(entry: StoredNumbers | StoredCategories | StoredText | StoredConstant, arrays: Arrays) -> Field:
    if isinstance(entry, StoredText):
        at = f"texts.{entry.name}."
        ngrams, mean = _take_ngrams(arrays, at, entry.separator), _take(arrays, f"{at}mean", None)
        text = FreeText(entry.name, ngrams, _take(arrays, f"{at}vectors", len(ngrams.hashes), len(mean)), mean)
        return Field(entry.source, None, text, entry.reason)
    if isinstance(entry, StoredConstant):
        return Field(entry.source, entry.part, Constant(entry.name, entry.value), entry.reason, entry.form)
    if isinstance(entry, StoredNumbers):
        scaling = Scaling(entry.name, entry.mean, entry.deviation, entry.marks_missing, tuple(entry.knots))
        return Field(entry.source, entry.part, scaling, entry.reason, entry.form)
    known, merged = (np.array(values, dtype=DTYPES[entry.kind]) for values in (entry.known, entry.merged))
    coding = Coding(entry.name, entry.kind, known, merged, np.array(entry.counts, dtype=np.int64))
    return Field(entry.source, entry.part, coding, entry.reason, entry.form, entry.handed_on)


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
            of_names = _ngram_arrays(spelling) | {"deviations": spelling.deviations}
            own |= {f"spelling_{name}": array for name, array in of_names.items()}
            own["components"] = fitted.components[i]
        arrays |= {f"fields.{i}.{coding.name}.{name}": array for name, array in own.items()}
    for text in (scaling for scaling in fitted.schema.scalings if isinstance(scaling, FreeText)):
        arrays |= {f"texts.{text.name}.{name}": array for name, array in _ngram_arrays(text).items()}
    for i, (weight, bias) in enumerate(zip(weights.weights, weights.biases, strict=True)):
        arrays |= {f"layers.{i}.weight": weight, f"layers.{i}.bias": bias}
    optional = {"skip.weight": weights.skip, "sensitivity": weights.sensitivity}
    arrays |= {name: array for name, array in optional.items() if array is not None}
    return arrays


def _ngram_arrays(read: Spelling | FreeText) -> Arrays:
    return {"hashes": read.ngrams.hashes, "weights": read.ngrams.weights, "vectors": read.vectors, "mean": read.mean}


def _read_fitted(entry: Stored, config: EncoderConfig, arrays: Arrays) -> Fitted:
    _check_numbers(arrays)
    schema = Schema(tuple(_read_field(field, arrays) for field in entry.fields), tuple(entry.dimensions))
    target = _read_target(entry.target)
    if entry.sigmoid != (config.output == "sigmoid" and entry.target.kind == "continuous"):
        raise ValueError(f"sigmoid is {entry.sigmoid}, but the output of the recipe {config.output}")
    own = [_take_field(arrays, i, coding, schema.dimensions[i], target.outputs)
           for i, coding in enumerate(schema.codings)]  # fmt: skip
    components, means_out = ({i: one[name] for i, one in enumerate(own) if name in one} for name in OPTIONAL[1:])
    spellings = {i: _take_spelling(arrays, i, schema.codings[i], schema.dimensions[i], beside.shape[1])
                 for i, beside in components.items()}  # fmt: skip
    weights = _take_weights(arrays, [one["networks"] for one in own], entry.sigmoid, target.outputs)
    if arrays:
        raise ValueError(f"array {next(iter(arrays))} is not part of an encoder")
    vectors = Vectors(
        Scales.of(weights),
        [one["vectors"] for one in own],
        [Alignment(one["centres"], one["rotations"]) for one in own],
        [one["spread"] for one in own],
        tuple(one["axes"] for one in own if "axes" in one),
    )
    names = None if entry.feature_names_in is None else tuple(entry.feature_names_in)
    statistics = Statistics(schema, target, [one["target_mean"] for one in own], entry.n_features_in, names)
    explained = {schema.position(name): share for name, share in entry.explained.items()}
    fitted = Fitted(statistics, config, weights, vectors, entry.interrupted, spellings, explained, components,
                    means_out, bool(entry.predicts))  # fmt: skip
    if entry.outputs is not None and fitted.names_out() != entry.outputs:
        raise ValueError("the arrays make other columns than the outputs named")
    return fitted


def _check_numbers(arrays: Arrays) -> None:
    """Raises ValueError for an array of no numbers, or of some that are not finite; a single network has no spread."""
    for name, array in arrays.items():
        is_hash = name.endswith("hashes")
        if array.dtype.kind != ("u" if is_hash else "f"):
            raise ValueError(f"{name} holds {array.dtype}")
        if not is_hash and not np.isfinite(array).all() and not name.endswith(".spread"):
            raise ValueError(f"{name} holds numbers that are not finite")


def _take(arrays: Arrays, name: str, *shape: int | None) -> NDArray[Any]:
    """The array of that name, removed from `arrays`. Raises ValueError for another shape; None is any length."""
    array = arrays.pop(name)
    if len(array.shape) != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} needs the shape {shape}, not {array.shape}")
    return array


def _take_field(arrays: Arrays, i: int, coding: Coding, dimension: int, outputs: int) -> Arrays:
    """The arrays of one category field but those of its spelling."""
    rows, at = coding.rows, f"fields.{i}.{coding.name}"
    networks = _take(arrays, f"{at}.networks", None, rows, dimension)
    count = len(networks)
    shapes: dict[str, tuple[int | None, ...]] = {
        "vectors": (rows, dimension), "spread": (rows,), "target_mean": (rows,), "centres": (count, dimension),
        "rotations": (count, dimension, dimension)}  # fmt: skip
    optional = zip(OPTIONAL, [(dimension, None), (rows, None), (rows, outputs)], strict=True)
    shapes |= {name: shape for name, shape in optional if f"{at}.{name}" in arrays}
    own = {name: _take(arrays, f"{at}.{name}", *shape) for name, shape in shapes.items()}
    if (np.linalg.matrix_rank(own["rotations"]) < dimension).any():
        raise ValueError(f"a rotation of column {coding.name!r} has no inverse")
    return own | {"networks": networks}


def _take_spelling(arrays: Arrays, i: int, coding: Coding, dimension: int, components: int) -> Spelling:
    """How the names of one category field are read."""
    at = f"fields.{i}.{coding.name}.spelling_"
    ngrams, width = _take_ngrams(arrays, at), dimension + components
    vectors, mean = _take(arrays, f"{at}vectors", len(ngrams.hashes), width), _take(arrays, f"{at}mean", width)
    deviations = _take(arrays, f"{at}deviations", None, dimension)
    if coding.kind != "string" or not 1 <= len(deviations) <= len(coding.known):
        raise ValueError(f"column {coding.name!r} holds no names to be spelled")
    return Spelling(ngrams, vectors, mean, tuple(coding.known[: len(deviations)]), deviations)


def _take_ngrams(arrays: Arrays, at: str, separator: str | None = None) -> NGrams:
    hashes = _take(arrays, f"{at}hashes", None)
    if not len(hashes) or (np.diff(hashes.astype(np.int64)) <= 0).any():
        raise ValueError(f"{at}hashes do not rise")
    return NGrams(hashes, _take(arrays, f"{at}weights", len(hashes)), separator)


def _take_weights(arrays: Arrays, tables: list[NDArray[np.float32]], sigmoid: bool, outputs: int) -> NetworkWeights:
    layers = range(sum(name.startswith("layers.") for name in arrays) // 2)
    weights = [_take(arrays, f"layers.{i}.weight", None, None, None) for i in layers]
    count, inputs, _ = weights[0].shape
    biases = [_take(arrays, f"layers.{i}.bias", count, 1, weight.shape[2]) for i, weight in enumerate(weights)]
    skip = _take(arrays, "skip.weight", count, inputs, outputs) if "skip.weight" in arrays else None
    sensitivity = _take(arrays, "sensitivity", inputs) if "sensitivity" in arrays else None
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

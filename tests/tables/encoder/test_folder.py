"""A fitted encoder through its folder: nothing is lost, and a damaged or foreign folder is refused by name."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from tables.shops import shops
from unrolled.errors import FolderError
from unrolled.files import write_folder
from unrolled.tables.encoder.config import EncoderConfig
from unrolled.tables.encoder.estimator import EntityEncoder
from unrolled.tables.encoder.folder import ARRAYS, CONFIG

TINY = EncoderConfig(networks=2, hidden=(8,), min_steps=20)


def odd_table():
    X, y = shops(120)
    days = pd.Timestamp("2023-12-01") + pd.to_timedelta(np.arange(120) // 3, "D")
    X = X.assign(day=days, open=np.arange(120) % 2 == 0, kind=np.arange(120) % 3 / 2)
    X["size"] = X["size"].where(X["size"] < 1)
    X.loc[:4, "shop"] = None
    X.loc[5, "shop"] = "seldom"
    return X, y


@pytest.mark.parametrize("target", ["number", "classes", "truth", "several", "sigmoid"])
def test_nothing_is_lost(tmp_path, target):
    X, y = odd_table()
    classes = np.array(["a", "b", "c"])[np.arange(120) % 3]
    y = {"classes": classes, "truth": y > 100, "several": np.stack([y, -y], 1)}.get(target, y)
    paper = EncoderConfig(networks=1, hidden=(4,), min_steps=5, output="sigmoid", skip=False)
    recipe = paper if target == "sigmoid" else TINY
    encoder = EntityEncoder(recipe=recipe, random_state=0, min_frequency=2, categorical_features=["kind"],
                            log_target=target == "sigmoid").fit(X, y)  # fmt: skip
    encoder.save_pretrained(tmp_path / "it")
    loaded = EntityEncoder.from_pretrained(tmp_path / "it")
    new = X.head(9).assign(shop=["s01", "new", None, "seldom", *X.shop[4:9]])
    assert np.array_equal(loaded.transform(new), encoder.transform(new))
    assert np.array_equal(loaded.network_prediction(new), encoder.network_prediction(new))
    assert list(loaded.get_feature_names_out()) == list(encoder.get_feature_names_out())
    assert loaded.describe() == encoder.describe()
    assert loaded.get_params() == encoder.get_params()
    for name, fact in encoder.table("shop").facts.items():
        assert np.array_equal(loaded.table("shop").facts[name], fact, equal_nan=fact.dtype.kind == "f")


@pytest.fixture
def folder(tmp_path):
    EntityEncoder(recipe=TINY, random_state=0).fit(*shops(60)).save_pretrained(tmp_path / "it")
    return tmp_path / "it"


def test_the_first_format_is_read_with_the_scale_it_had(folder, tmp_path):
    arrays, config = load_arrays((folder / ARRAYS).read_bytes()), json.loads((folder / CONFIG).read_text())
    assert arrays.pop("sensitivity").std() > 0
    config["format"] = 1
    write_folder(tmp_path / "old", {CONFIG: json.dumps(config).encode(), ARRAYS: save_arrays(arrays)})
    old = EntityEncoder.from_pretrained(tmp_path / "old")
    assert (old.fitted_.vectors.scales.numbers == 1).all()
    assert np.array_equal(old.table("shop").vectors, EntityEncoder.from_pretrained(folder).table("shop").vectors)


def test_the_second_format_reads_no_names(folder, tmp_path):
    arrays, config = load_arrays((folder / ARRAYS).read_bytes()), json.loads((folder / CONFIG).read_text())
    config["format"] = 2
    del config["explained"], config["settings"]["spelling"]
    write_folder(tmp_path / "old", {CONFIG: json.dumps(config).encode(), ARRAYS: save_arrays(arrays)})
    old, new = EntityEncoder.from_pretrained(tmp_path / "old"), EntityEncoder.from_pretrained(folder)
    X, _ = shops(60)
    assert np.array_equal(old.transform(X), new.transform(X))
    assert not old.fitted_.spellings


def test_the_third_format_hands_on_whole_vectors_and_numbers_as_they_are(tmp_path):
    X, y = shops(60)
    plain = EncoderConfig(networks=2, hidden=(8,), min_steps=20, handed_on=1.0, normal_scores=False)
    encoder = EntityEncoder(recipe=plain, prediction=False, random_state=0).fit(X, y)
    encoder.save_pretrained(tmp_path / "new")
    arrays = (tmp_path / "new" / ARRAYS).read_bytes()
    config = json.loads((tmp_path / "new" / CONFIG).read_text()) | {"format": 3}
    del config["predicts"], config["settings"]["prediction"]
    del config["settings"]["recipe"]["handed_on"], config["settings"]["recipe"]["normal_scores"]
    for field in config["fields"]:
        del field["form"], field["handed_on"]
        field.pop("knots", None)
    write_folder(tmp_path / "old", {CONFIG: json.dumps(config).encode(), ARRAYS: arrays})
    assert np.array_equal(EntityEncoder.from_pretrained(tmp_path / "old").transform(X), encoder.transform(X))


def test_equal_encoders_are_equal_bytes(folder, tmp_path):
    EntityEncoder.from_pretrained(folder).save_pretrained(tmp_path / "again")
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_a_flipped_bit_is_told_by_name(folder):
    data = bytearray((folder / ARRAYS).read_bytes())
    data[-5] ^= 1
    (folder / ARRAYS).write_bytes(bytes(data))
    with pytest.raises(FolderError, match=ARRAYS):
        EntityEncoder.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 99}, "newer"),
        ({"kind": "CharModel"}, "kind should be 'EntityEncoder', not 'CharModel'"),
        ({"fields": []}, "0 fields of"),
        ({"dimensions": [9]}, "needs the shape"),
        ({"target": {}}, "target.classes is missing"),
    ],
)
def test_a_folder_that_contradicts_itself_is_refused(folder, tmp_path, change, sentence):
    config = json.loads((folder / CONFIG).read_bytes()) | change
    files = {CONFIG: json.dumps(config).encode(), ARRAYS: (folder / ARRAYS).read_bytes()}
    write_folder(tmp_path / "changed", files)
    with pytest.raises(FolderError, match=sentence):
        EntityEncoder.from_pretrained(tmp_path / "changed")


def test_no_folder_and_a_foreign_one(tmp_path):
    with pytest.raises(FolderError, match="does not exist"):
        EntityEncoder.from_pretrained(tmp_path / "nothing")
    write_folder(tmp_path / "other", {"a.txt": b""})
    with pytest.raises(FolderError, match="holds no encoder"):
        EntityEncoder.from_pretrained(tmp_path / "other")

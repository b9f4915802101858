"""A fitted encoder maps over the partitions of an engine that spreads a table over machines."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tables.shops import shops
from unrolled.tables.encoder.estimator import EntityEncoder


@pytest.fixture(scope="module")
def fitted():
    return EntityEncoder(recipe="quick", random_state=0).fit(*shops())


def test_dask(fitted):
    dask = pytest.importorskip("dask.dataframe", reason="dask is not installed (pip install 'dask[dataframe]')")
    X, _ = shops()

    def vectors(part: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame(fitted.transform(part), columns=fitted.get_feature_names_out(), index=part.index)

    out = dask.from_pandas(X, npartitions=4).map_partitions(vectors, meta=vectors(X.head(2)))
    assert np.array_equal(out.compute().to_numpy(), fitted.transform(X))


def test_arrow_batches(fitted):
    """The shape of `mapInArrow` (PySpark) and of `map_batches` (Ray Data): Arrow in, Arrow out."""
    X, _ = shops()

    def vectors(batches):
        for batch in batches:
            columns = fitted.transform(pa.Table.from_batches([batch])).T
            yield pa.RecordBatch.from_arrays([pa.array(c) for c in columns], names=list(fitted.get_feature_names_out()))

    parts = pa.Table.from_pandas(X, preserve_index=False).to_batches(max_chunksize=70)
    out = pa.Table.from_batches(list(vectors(parts))).to_pandas().to_numpy()
    assert np.array_equal(out, fitted.transform(X))

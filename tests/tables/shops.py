"""A small table whose answer is known, shared by the tests of tables."""

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from unrolled.tables.encoder.estimator import EntityEncoder


def shops(rows: int = 400, count: int = 12, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Sales of shops: a level for each shop times one for each weekday, some noise; and a column of plain numbers."""
    rng = np.random.default_rng(seed)
    shop, weekday, size = rng.integers(0, count, rows), rng.integers(0, 7, rows), rng.normal(size=rows)
    level, week = np.exp(rng.normal(size=count)), np.exp(0.3 * rng.normal(size=7))
    sales = 100 * level[shop] * week[weekday] * np.exp(0.05 * rng.normal(size=rows))
    table = pd.DataFrame({"shop": [f"s{i:02}" for i in shop], "weekday": weekday, "size": size})
    return table, sales


def distances_follow_targets(encoder: EntityEncoder, column: str) -> float:
    """The paper's check (its Fig. 2): rank correlation of distances between vectors and between mean targets."""
    table = encoder.table(column)
    known = table.facts["special"] == 0
    means = table.facts["target_mean"][known]
    return float(spearmanr(pdist(table.vectors[known]), pdist(means[:, None])).statistic)

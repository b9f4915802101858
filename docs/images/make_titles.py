"""Make titles.png of the README again: UNROLLED_DATA=... python docs/images/make_titles.py (a minute).

Job titles that the encoder never saw, and misspelt ones, among the known. Needs the table of a city's salaries, see
`benchmarks.tables`.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.tables import salaries, typo

from unrolled import plotting as style
from unrolled.tables.encoder.estimator import EntityEncoder

LEARNED, HIDDEN, MISSPELT, SHOWN_FROM = 8_000, 7, 5, 3


def new_titles(titles: pd.Series, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Titles to hide, of the 150 most frequent but the first ten, and frequent ones with one wrong keystroke."""
    frequent = titles.value_counts().index.astype(str)
    hidden = list(rng.permutation(frequent[10:150])[:HIDDEN])
    return hidden, [typo(name, rng) for name in frequent[:10] if len(name) > 12][:MISSPELT]


def vectors_of(encoder: EntityEncoder, frame: pd.DataFrame, names: list[str]) -> np.ndarray:
    """What the encoder hands on for titles: the vector and the components of the spelling, (title, column)."""
    rows = frame.iloc[np.zeros(len(names), dtype=int)].assign(**{"Job Titles": names})
    names_out = [str(name) for name in encoder.get_feature_names_out()]
    own = [i for i, name in enumerate(names_out) if name.startswith("Job Titles_") and not name.endswith("_mean")]
    return encoder.transform(rows)[:, own]


def main() -> int:
    """The picture; 0 if all went well."""
    table = salaries()
    rows = np.random.default_rng(0).permutation(len(table.target))[:LEARNED]
    frame, target = table.features.iloc[rows], table.target[rows]
    hidden, wrong = new_titles(frame["Job Titles"], np.random.default_rng(1))
    seen = ~frame["Job Titles"].isin(hidden).to_numpy()
    encoder = EntityEncoder(random_state=0).fit(frame[seen], target[seen])
    print(*encoder.describe(), sep="\n")

    counts = frame["Job Titles"][seen].value_counts()
    counts = counts[counts >= SHOWN_FROM]
    known, vectors = vectors_of(encoder, frame, list(counts.index)), vectors_of(encoder, frame, [*hidden, *wrong])
    nearest = np.linalg.norm(known[None] - vectors[:, None], axis=2).argmin(axis=1)

    centre = known.mean(axis=0)
    axes2 = np.linalg.svd(known - centre, full_matrices=False)[2][:2].T
    places, found = (known - centre) @ axes2, (vectors - centre) @ axes2
    figure, (axes,) = style.figure(9.6, 5.4)
    size = 6 + 3 * np.sqrt(counts.to_numpy())
    axes.scatter(*places.T, s=size, color=style.FAINT, alpha=0.35, linewidths=0, label="known titles")
    for start, stop, label, i in ((0, len(hidden), "never seen", 1), (len(hidden), len(vectors), "misspelt", 0)):
        axes.scatter(*found[start:stop].T, s=60, color=style.colour(i), marker=style.MARKERS[i], label=label)
    lines = []
    for number, (name, place, kin) in enumerate(zip([*hidden, *wrong], found, nearest, strict=True), 1):
        axes.annotate(str(number), place, xytext=(6, 4), textcoords="offset points", fontsize=10, weight="bold")
        lines.append(f"{number:2d}  {name}\n       beside {counts.index[kin]}")
    axes.text(1.03, 1, "\n".join(lines), transform=axes.transAxes, fontsize=8, va="top", linespacing=1.35)
    axes.set_xlabel("first main component of the vectors")
    axes.set_ylabel("second")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False)
    style.save(figure, Path(__file__).parent / "titles.png", dpi=140)
    return 0


if __name__ == "__main__":
    sys.exit(main())

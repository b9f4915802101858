"""Make the pictures of the README's section on tables again: python docs/images/make_tables.py (some minutes, offline).

shops.png: the shops of the built-in table where they lie, and where the vectors learned from their sales put them.
comparison.png: the figure of `unrolled compare demo`.
"""

import sys
from pathlib import Path

from unrolled import plotting as style
from unrolled.cli.app import main as unrolled
from unrolled.tables.data.demo import TARGET, demo_table, map_found
from unrolled.tables.encoder.estimator import EntityEncoder

HERE = Path(__file__).parent


def shops(path: Path) -> float:
    """Draw the hidden map and the map found; returns the Procrustes correlation of the two."""
    demo = demo_table()
    encoder = EntityEncoder(random_state=0).fit(demo.frame.drop(columns=[TARGET]), demo.frame[TARGET])
    correlation, found = map_found(encoder.table("Shop"), demo)
    figure, (axes,) = style.figure(6.4, 6)
    for place, seen in zip(demo.places, found, strict=True):
        axes.plot(*zip(place, seen, strict=True), color=style.FAINT, linewidth=1, zorder=1)
    axes.scatter(*demo.places.T, s=70, facecolors="none", edgecolors=style.FAINT, label="where the shop lies (hidden)")
    axes.scatter(*found.T, s=26, color=style.colour(0), label="where its vector puts it")
    axes.set_title(f"{len(found)} shops, placed by their sales alone: correlation {correlation:.3f}", fontsize=11)
    axes.set_xlabel("west to east: how sales follow the week")
    axes.set_ylabel("south to north: how sales follow the seasons")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False)
    axes.set_aspect("equal")
    style.save(figure, path, dpi=140)
    return correlation


def main() -> int:
    """Both pictures; 0 if all went well."""
    print(f"Procrustes correlation of the shops: {shops(HERE / 'shops.png'):.3f}")
    return unrolled(["compare", "demo", "--seeds", "1", "--out", str(HERE / "comparison.png")])


if __name__ == "__main__":
    sys.exit(main())

"""Plots of vectors: labels never overlap, places do not depend on coordinates, pages stand alone, odd tables too."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from unrolled import plotting as style
from unrolled.embedding import EmbeddingTable
from unrolled.errors import InputError
from unrolled.look.curves import Curve, curves
from unrolled.look.vectors import plot as plots
from unrolled.look.vectors.label_placement import place_labels
from unrolled.look.vectors.plot_data import COLOURS, plot_data
from unrolled.text.vocabulary import KINDS

CHARACTERS = "etaoinshrdlu ETA\n0123.,;!?'\"()$-_äж中\u0301"


def characters(seed: int = 0, names: str = CHARACTERS, dimension: int = 8) -> EmbeddingTable:
    generator = np.random.default_rng(seed)
    counts = (10_000 / np.arange(1, len(names) + 1)).astype(np.int64)
    vectors = generator.normal(size=(len(names), dimension)) * 0.7 ** np.arange(dimension)
    return EmbeddingTable(tuple(names), vectors.astype(np.float32), {"count": counts})


def shops(n: int = 200) -> EmbeddingTable:
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(n + 3, 6))
    names = ("(unknown)", "(missing)", "(rare)", *(f"shop no. {i}" for i in range(n)))
    facts = {
        "count": (1e4 / np.arange(1, n + 4)).astype(np.int64),
        "target_mean": np.r_[np.nan, 2.0, 3.0, vectors[3:, 0]],
        "spread": generator.uniform(0.05, 0.3, n + 3),
        "special": np.arange(n + 3) < 3,
    }
    return EmbeddingTable(names, vectors.astype(np.float32), facts)


def text_boxes(figure: Figure) -> list[tuple[str, np.ndarray]]:
    """The rectangle of every text that is seen in a figure, as it is drawn."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    beyond = set()  # ticks outside the view keep their labels, which are not drawn
    for axis in (a for axes in figure.axes for a in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        beyond |= {label for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high
                   for label in (tick.label1, tick.label2)}  # fmt: skip
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text not in beyond]
    seen = [text for text in texts if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer).extents) for text in seen]


def overlaps(figure: Figure, ease: float = 0.1) -> list[tuple[str, str]]:
    """Pairs of texts that meet by more than the empty margin of a line, `ease` of its height."""
    boxes = text_boxes(figure)
    found = []
    for i, (a, (left, low, right, high)) in enumerate(boxes):
        for b, box in boxes[i + 1 :]:
            margin = ease * min(high - low, box[3] - box[1])
            if left < box[2] - 1 and box[0] < right - 1 and low + margin < box[3] and box[1] + margin < high:
                found.append((a, b))
    return found


@pytest.mark.parametrize(
    ("table", "components"),
    [(characters(), 2), (characters(), 3), (shops(), 2), (shops(9), 3)],
    ids=["characters", "characters in space", "many shops", "few shops in space"],
)
def test_no_text_meets_another(table: EmbeddingTable, components: int) -> None:
    assert overlaps(plots.figure_of(table, components, title="A title that is not short at all")) == []


def test_the_overlap_check_can_fail() -> None:
    figure = Figure()
    figure.text(0.5, 0.5, "one")
    figure.text(0.51, 0.5, "two")
    assert overlaps(figure) == [("one", "two")]


@settings(max_examples=60)
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.floats(0, 300)),
    st.booleans(),
    st.integers(1, 40),
)
def test_labels_do_not_meet_and_stay_inside(points: np.ndarray, beside: bool, most: int) -> None:
    generator = np.random.default_rng(0)
    sizes = generator.uniform((10, 8), (60, 14), (len(points), 2))
    radii = generator.uniform(1, 6, len(points)) if beside else None
    order = list(range(len(points)))
    placed = place_labels(points, sizes, order, (0, 0, 300, 300), radii=radii, most=most)
    assert len(placed) <= most
    boxes = {i: np.r_[np.array(at) - sizes[i] / 2, np.array(at) + sizes[i] / 2] for i, at in placed.items()}
    for i, box in boxes.items():
        assert (box >= -1e-9).all()
        assert (box <= 300 + 1e-9).all()
        others = [other for j, other in boxes.items() if j != i]
        dots = [] if radii is None else [np.r_[p - r, p + r] for p, r in zip(points, radii, strict=True)]
        for other in [*others, *dots]:
            assert max(*(box[:2] - other[2:]), *(other[:2] - box[2:])) >= -1e-9
    inside = ((points[0] - sizes[0] / 2 >= 0) & (points[0] + sizes[0] / 2 <= 300)).all()
    if not beside and inside:
        assert placed[0] == tuple(points[0])  # whoever comes first stays where it is


def test_every_character_is_drawn_at_its_place_or_joined_to_it() -> None:
    table = characters(names="etaoinshr", dimension=3)
    figure = plots.figure_of(table)
    axis = figure.axes[0]
    drawn = {text.get_text(): text for text in axis.texts}
    assert set(drawn) == set("etaoinshr")
    at = dict(zip(table.names, table.pca(2).coordinates, strict=True))
    far = [name for name, text in drawn.items() if not np.allclose(text.get_position(), at[name], atol=1e-6)]
    assert len(far) == len([line for line in axis.lines if len(line.get_xdata()) == 2])
    sizes = [drawn[name].get_fontsize() for name in "etaoinshr"]  # in order of frequency
    assert sizes == sorted(sizes, reverse=True)
    assert drawn["e"].get_color() == COLOURS["vowel"]
    assert axis.get_aspect() == 1.0
    share = table.pca(2).explained
    assert axis.get_xlabel() == f"component 1 ({share[0]:.0%} of the variance)"
    assert axis.get_ylabel() == f"component 2 ({share[1]:.0%} of the variance)"


def test_categories_are_coloured_by_target_and_special_rows_are_marked() -> None:
    figure = plots.figure_of(shops(9))
    words = [text for text, _ in text_boxes(figure)]
    assert {"mean target", "(unknown)", "(missing)", "(rare)", "shop no. 0"} <= set(words)
    assert any("disagreement of the networks" in text for text in words)
    assert len(figure.axes[0].patches) == 12  # a ring each


def test_crowds_are_said_to_be_left_out() -> None:
    words = " ".join(text for text, _ in text_boxes(plots.figure_of(shops(400))))
    assert re.search(r"\d+ of 403 labels did not fit and are left out", words)


def test_every_kind_of_character_has_a_colour() -> None:
    assert tuple(COLOURS) == KINDS


@pytest.mark.parametrize(
    "table",
    [
        EmbeddingTable(("a",), np.ones((1, 4), np.float32)),
        EmbeddingTable(("a", "b"), np.ones((2, 1), np.float32)),
        EmbeddingTable(("$x$", "<b>", ""), np.eye(3, dtype=np.float32)),
        EmbeddingTable(("u", "v"), np.eye(2, dtype=np.float32), {"target_mean": np.array([np.nan, np.nan])}),
        EmbeddingTable(("u", "v"), np.eye(2, dtype=np.float32), {"count": np.zeros(2), "special": np.zeros(2, bool)}),
    ],
    ids=["one", "one dimension", "markup", "no targets", "no counts"],
)  # fmt: skip
@pytest.mark.parametrize("ending", [".svg", ".html"])
def test_odd_tables_are_drawn(table: EmbeddingTable, ending: str, tmp_path: Path) -> None:
    plots.plot_embedding(table, tmp_path / f"p{ending}", title="<$&$>")
    assert (tmp_path / f"p{ending}").stat().st_size > 1000


def test_pictures_are_what_their_ending_says(tmp_path: Path) -> None:
    plots.plot_embedding(characters(), tmp_path / "p.png")
    assert imread(tmp_path / "p.png").shape[2] in (3, 4)
    plots.plot_embedding(characters(), tmp_path / "p.svg")
    assert ElementTree.parse(tmp_path / "p.svg").getroot().tag.endswith("svg")


def test_a_page_stands_alone(tmp_path: Path) -> None:
    plots.plot_embedding(characters(), tmp_path / "p.html", title="Mine & <yours>")
    page = (tmp_path / "p.html").read_text("utf-8")
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*\b(?:src|href)\s*=", page)
    assert "<title>Mine &amp; &lt;yours&gt;</title>" in page
    assert all(text in page for text in ('"vowel"', "of the variance)", "scatter3d", "nearest: "))


@pytest.mark.parametrize("components", [1, 4])
def test_other_dimensions_get_a_sentence(components: int) -> None:
    with pytest.raises(InputError, match=f"components is {components}, but a picture has 2 or 3"):
        plot_data(characters(), components)


def test_an_empty_table_gets_a_sentence() -> None:
    with pytest.raises(InputError, match="empty: there is nothing to draw"):
        plot_data(EmbeddingTable((), np.zeros((0, 3), np.float32)))


def test_characters_without_a_font_are_boxes_that_are_explained() -> None:
    shown, note = style.drawable(["a", "\ue123x"])
    assert shown == ["a", "□x"]
    assert note is not None
    assert "□ stands for 1 character that no font found here can draw (U+E123)" in note
    assert style.drawable(["a␣⏎"]) == (["a␣⏎"], None)
    words = [text for text, _ in text_boxes(plots.figure_of(characters(names="ab\U00016f1c")))]
    assert "□" in words
    assert any("no font found here" in text for text in words)


def test_nothing_outside_the_picture_changes(tmp_path: Path) -> None:
    code = (
        "import sys, matplotlib, numpy as np\n"
        "settings = lambda: [*dict.items(matplotlib.rcParams)]  # asking for the backend would load pyplot\n"
        "before = settings()\n"
        "from unrolled.embedding import EmbeddingTable; from unrolled.look.vectors.plot import plot_embedding\n"
        f"plot_embedding(EmbeddingTable(('a', 'b'), np.eye(2, dtype='f4')), {str(tmp_path / 'p.png')!r})\n"
        "assert settings() == before\n"
        "assert not {'matplotlib.pyplot', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_palette_keeps_its_order_in_grey() -> None:
    """The first four colours, which most pictures need, are told apart by lightness alone; all stand out from white."""
    lightness = [_luminance(colour) for colour in style.PALETTE]
    first = sorted(lightness[:4])
    assert min(np.diff(first)) > 0.06
    assert max(lightness) < 0.45
    assert all(1.05 / (_luminance(colour) + 0.05) > 4.5 for colour in COLOURS.values())  # WCAG AA, for letters on white


def _luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.1, from 0 to 1."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_curves_share_axis_colours_and_legend(tmp_path: Path) -> None:
    line = Curve([1, 2, 3], [3, 2, 1], [2.5, 1.5, 0.5], [3.5, 2.5, 1.5])
    figure = curves(
        {"left": {"a": line, "b": line}, "right": {"b": line}}, x_label="x", y_label="y", levels={"base": 2}
    )
    left, right = figure.axes
    assert left.get_ylim() == right.get_ylim()
    assert left.lines[1].get_color() == right.lines[0].get_color() != left.lines[0].get_color()
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["a", "b"]
    assert overlaps(figure) == []
    style.save(figure, tmp_path / "c.png")


def test_wrong_places_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in '\.pdf': a picture ends in"):
        plots.plot_embedding(characters(), tmp_path / "p.pdf")
    with pytest.raises(InputError, match="does not exist"):
        plots.plot_embedding(characters(), tmp_path / "no" / "p.html")

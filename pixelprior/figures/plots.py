"""Figures that compare runs, and figures of receptive fields, as PNG files.

Only this file imports Matplotlib. It needs no display and changes no global settings.

Legend: n images, h height, w width, c channels.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator

from pixelprior.system.atomic import replacing
from pixelprior.system.printable import printable

# The colours of Okabe and Ito, which colour-blind people can distinguish. A grey replaces their
# yellow, which is too pale for a line.
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#8A8A8A",
)
STYLES = ("-", "--", ":", "-.")  # styles of lines; one per cycle of the colours
TEXT = "#333333"
DPI = 150

UNSEEN = "#E69F00"  # an earlier position without any influence
LATER = "#E4E4E4"  # a position at or after the predicted one
ROWS_BELOW = 3  # number of shown rows below the predicted position
WEAKEST = 1e-4  # smallest share of the largest gradient that has its own colour


def save_learning_curves(
    curves: Mapping[str, Sequence[tuple[int, float, float]]],
    measure: str,
    path: str | os.PathLike[str],
) -> None:
    """Plot a validation measure over steps and over minutes of training, side by side.

    Args:
        curves: the (steps, minutes, value) points of each run, by name. Runs without points are
            left out, but at least one run must have points.
        measure: the name of the measure, for the axis.
        path: the PNG file to write.
    """
    shown = {name: np.array(curve, float) for name, curve in curves.items() if len(curve)}
    figure = _figure(11, 4.4)
    steps, minutes = figure.subplots(1, 2, sharey=True)
    for axes, column, label in ((steps, 0, "steps"), (minutes, 1, "minutes of training")):
        for name, curve in shown.items():
            number = list(curves).index(name)
            axes.plot(
                curve[:, column],
                curve[:, 2],
                color=_colour(number),
                linestyle=_style(number),
                marker="o",
                markersize=3.5,
                linewidth=1.8,
            )
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.grid(axis="y", color="#DDDDDD", linewidth=0.7)
        axes.set_axisbelow(True)
        _plain(axes)
    steps.set_ylabel(f"validation {measure}")
    steps.tick_params(axis="y", length=0)
    minutes.tick_params(axis="y", length=0)
    # The start of training is cut off if it would fill most of the picture.
    last = [float(curve[-1, 2]) for curve in shown.values()]
    lowest = min(float(curve[:, 2].min()) for curve in shown.values())
    highest = max(float(curve[:, 2].max()) for curve in shown.values())
    top = min(highest, max(last) + max(2 * (max(last) - lowest), 0.15 * abs(max(last))))
    margin = 0.06 * (top - lowest) or 1.0
    steps.set_ylim(lowest - margin, top + margin)
    ends = {name: (curve[-1, 1], curve[-1, 2]) for name, curve in shown.items()}
    _name_ends(minutes, ends, {name: _colour(list(curves).index(name)) for name in shown})
    _save(figure, path)


def _name_ends(
    axes: Axes, ends: Mapping[str, tuple[float, float]], colours: Mapping[str, str]
) -> None:
    """Write names on the right, each near the end of its curve but not on another name."""
    low, high = axes.get_ylim()
    right = 1.05 * axes.get_xlim()[1]
    gap = 0.058 * (high - low)
    names = sorted(ends, key=lambda name: ends[name][1])
    heights: list[float] = []
    for name in names:
        wanted = ends[name][1]
        heights.append(max(wanted, heights[-1] + gap) if heights else wanted)
    # All names move down by the mean of these shifts, so that they lie around the ends.
    pushed = [height - ends[name][1] for name, height in zip(names, heights, strict=True)]
    shift = min(sum(pushed) / len(pushed), heights[0] - low)
    for name, height in zip(names, heights, strict=True):
        axes.annotate(
            _label(name),
            xy=ends[name],
            xytext=(right, height - shift),
            color=colours[name],
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colours[name],
                "linewidth": 0.6,
                "alpha": 0.6,
                "relpos": (0, 0.5),
                "shrinkA": 2,
                "shrinkB": 3,
            },
        )


def save_bars(
    names: Sequence[str],
    panels: Mapping[str, Sequence[tuple[float, str] | None]],
    path: str | os.PathLike[str],
    *,
    dots: Sequence[str] = (),
) -> None:
    """Plot one small panel for each quantity, with a bar for each run.

    Args:
        names: the names of the runs, from top to bottom.
        panels: by title, the value and the label of each run; None for no value.
        path: the PNG file to write.
        dots: the titles of panels with dots instead of bars. Their axes do not begin at zero,
            because the differences are small.
    """
    figure = _figure(1.6 + 2.0 * len(panels), 1.0 + 0.36 * len(names))
    places = range(len(names))
    for axes, (title, values) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        numbers = [value[0] for value in values if value is not None]
        low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
        spread = (high - low) or abs(high) or 1.0
        for place, value in zip(places, values, strict=True):
            if value is None:
                axes.text(0, place, "not recorded", va="center", color="#888888", fontsize=8)
                continue
            if title in dots:
                axes.plot([value[0]], [place], "o", color=_colour(place), markersize=7)
            else:
                axes.barh(place, value[0], height=0.62, color=_colour(place))
            axes.annotate(
                value[1],
                (value[0], place),
                xytext=(7 if title in dots else 4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
        # Leave space for the labels on the right.
        if title in dots:
            axes.set_xlim(low - 0.15 * spread, high + 0.75 * spread)
            axes.hlines(places, *axes.get_xlim(), color="#E8E8E8", linewidth=0.8, zorder=0)
        else:
            axes.set_xlim(0, 1.5 * (high or 1.0))
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_yticks(places, list(map(_label, names)))
        axes.set_ylim(len(names) - 0.45, -0.55)
        axes.xaxis.set_major_locator(NullLocator())
        _plain(axes)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    _save(figure, path)


def save_rows(
    rows: Mapping[str, UInt8[np.ndarray, "n h w c"]], path: str | os.PathLike[str]
) -> None:
    """Write a sheet with one row of images for each run, next to its name.

    Args:
        rows: the images of each run, by name; grey or RGB, in one number and size for all.
        path: the PNG file to write.
    """
    n, h, w, _ = next(iter(rows.values())).shape
    gap = max(1, round(0.05 * w))
    # Sizes in inches. Placed by hand, because a layout engine leaves no space for the names.
    width, names, edge = 10.0, 0.2 + 0.1 * max(map(len, rows)), 0.1
    total = names + width + edge
    height = width * h / (n * (w + gap) - gap)
    figure = _figure(total, len(rows) * (height + 0.1), constrained=False)
    for number, (name, images) in enumerate(rows.items()):
        axes = figure.add_axes(
            (
                names / total,
                1 - (number + 0.95) / len(rows),
                width / total,
                height / (height + 0.1) / len(rows),
            )
        )
        sheet = np.full((h, n * (w + gap) - gap, images.shape[-1]), 255, np.uint8)
        for place, image in enumerate(images):
            left = place * (w + gap)
            sheet[:, left : left + w] = image
        if sheet.shape[-1] == 1:
            sheet = sheet.repeat(3, axis=-1)
        axes.imshow(sheet, interpolation="nearest")
        axes.set_axis_off()
        figure.text(
            (names - edge) / total,
            1 - (number + 0.5) / len(rows),
            _label(name),
            ha="right",
            va="center",
            color=TEXT,
        )
    _save(figure, path)


def save_receptive_fields(
    fields: Mapping[str, Float[np.ndarray, "h w"]],
    position: tuple[int, int],
    path: str | os.PathLike[str],
    *,
    columns: int = 4,
) -> None:
    """Plot the influence of each position on the prediction at one, relative to the strongest.

    The scale is logarithmic. Exact zeros have two colours of their own. One is for earlier
    positions, which could be in the receptive field but are not. The other is for all other
    positions.

    Args:
        fields: fields of one shape, by name; see `pixelprior.evaluation.receptive_field`.
        position: (row, column) of the prediction.
        path: the PNG file to write.
        columns: the largest number of plots side by side.
    """
    h, w = next(iter(fields.values())).shape
    shown = min(h, position[0] + 1 + ROWS_BELOW)
    before = np.arange(h * w).reshape(h, w) < position[0] * w + position[1]
    lines = -(-len(fields) // columns)
    columns = -(-len(fields) // lines)
    side = 3.0 if len(fields) > 1 else 4.5
    figure = _figure(columns * side + 1.1, lines * (side * shown / w + 0.5) + 0.4)
    grid = figure.subplots(lines, columns, squeeze=False)
    # Start at a light blue that differs clearly from the two colours of exact zeros.
    blues = ListedColormap(colormaps["Blues"](np.linspace(0.25, 1.0, 256)))
    norm = LogNorm(WEAKEST, 1.0, clip=True)
    for axes in grid.flat[len(fields) :]:
        axes.set_visible(False)
    for axes, (name, field) in zip(grid.flat, fields.items(), strict=False):
        largest = field.max()
        picture = blues(norm(field / largest if largest > 0 else field + WEAKEST))
        picture[before & (field == 0)] = _rgba(UNSEEN)
        picture[~before & (field == 0)] = _rgba(LATER)
        axes.imshow(picture[:shown], interpolation="nearest")
        row, column = position
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="white", edgecolor="black")
        )
        axes.plot([column], [row], "x", color="black", markersize=60 / max(h, w))
        seen = np.count_nonzero(field[before])
        total = np.count_nonzero(before)
        axes.set_title(
            f"{_label(name)}\n{seen} of {total} earlier positions seen", fontsize=10, loc="left"
        )
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color("#AAAAAA")
    bar = figure.colorbar(ScalarMappable(norm, blues), ax=grid, shrink=0.8, pad=0.02, extend="min")
    bar.set_label("gradient, relative to the largest")
    figure.legend(
        handles=[
            Patch(facecolor=UNSEEN, label="earlier, not seen: exactly 0"),
            Patch(facecolor=LATER, label="later"),
            Patch(facecolor="white", edgecolor="black", label="the predicted position"),
        ],
        loc="outside lower left",
        ncols=3 if columns > 1 else 1,
        frameon=False,
        fontsize=9,
    )
    _save(figure, path)


def save_sweep(
    cells: Sequence[Sequence[Float[np.ndarray, "n h w c"]]],
    rows: Sequence[str],
    columns: Sequence[str],
    path: str | os.PathLike[str],
) -> None:
    """Write a table with a few images in each cell.

    Args:
        cells: the images of each row and column, in [0, 1], all of one shape.
        rows: the labels of the rows.
        columns: the labels of the columns.
        path: the PNG file to write.
    """
    side = 1.8
    figure = _figure(len(columns) * side + 0.5, len(rows) * side + 0.4)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, row, images_of_row in zip(grid, rows, cells, strict=True):
        for axes, images in zip(line, images_of_row, strict=True):
            axes.imshow(_tiled(images), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
        line[0].set_ylabel(row, fontsize=10, color=TEXT)
    for axes, column in zip(grid[0], columns, strict=True):
        axes.set_title(column, fontsize=10, color=TEXT)
    _save(figure, path)


def _tiled(images: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "H W _"]:
    """Arrange images in a nearly square sheet, with grey lines between them."""
    n, h, w, c = images.shape
    across = math.ceil(math.sqrt(n))
    down = math.ceil(n / across)
    tiles = np.full((down * across, h + 1, w + 1, c), 0.5, np.float32)
    tiles[:n, :h, :w] = images
    sheet = tiles.reshape(down, across, h + 1, w + 1, c).swapaxes(1, 2)
    return sheet.reshape(down * (h + 1), across * (w + 1), c)[:-1, :-1]


def as_colours(shares: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n h w 3"]:
    """Convert shares in [0, 1] to colours in [0, 1]; 0 is the darkest."""
    return colormaps["magma"](shares)[..., :3].astype(np.float32)


def _rgba(colour: str) -> tuple[float, ...]:
    return (*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1.0)


def _figure(width: float, height: float, *, constrained: bool = True) -> Figure:
    """Make an empty figure, in inches. If not constrained, its parts are placed by hand."""
    engine = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08) if constrained else None
    figure = Figure(figsize=(width, height), layout=engine, dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def _label(name: str) -> str:
    """Name of a run as plain text. Matplotlib would read formulas between dollar signs."""
    return printable(name).replace("$", r"\$")


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _style(number: int) -> str:
    return STYLES[number // len(COLOURS) % len(STYLES)]


def _plain(axes: Axes) -> None:
    """Remove the frame lines that are not needed."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#AAAAAA")
    axes.tick_params(colors=TEXT)


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")

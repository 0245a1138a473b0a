"""What charts share: the sheet with its finding, scales, rows with intervals, labels beside lines."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from salessim.charts.style import INK, MUTED, figure_of
from salessim.charts.words import shortened

__all__ = [
    "SIZE",
    "SMALL",
    "Floats",
    "Line",
    "Sheet",
    "column_beside",
    "floats",
    "headroom",
    "interval_rows",
    "known",
    "label_lines",
    "rows_height",
    "scale",
    "thinned",
    "wrapped",
]

Floats = npt.NDArray[np.float64]

SIZE, SMALL = 10.0, 9.0  # points
_TITLE = 13.0
_WIDTH, _HEIGHT = 6.4, 4.0  # inches
_MANY_ROWS = 12  # more are drawn smaller and closer

# the space of "67 %" and of "EUR 3.10m", where no line may end
_UNBROKEN = re.compile(r" (?=%)|(?<=\b[A-Z]{3}) (?=[-\d])")


# --- data --------------------------------------------------------------------------------------------------


def known(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Rows in which these columns hold a finite number.

    >>> known(pd.DataFrame({"quota": [1.0, math.nan]}), ["quota"])["quota"].tolist()
    [1.0]
    """
    numbers = frame[list(columns)].to_numpy(dtype=np.float64)
    rows: pd.DataFrame = frame.loc[np.isfinite(numbers).all(axis=1)]
    return rows.reset_index(drop=True)


def floats(column: pd.Series) -> Floats:
    """A column as numbers.

    >>> floats(pd.Series([1, 2])).dtype.name
    'float64'
    """
    return column.to_numpy(dtype=np.float64)


# --- text --------------------------------------------------------------------------------------------------


def _text_width(text: str, *, size: float, weight: str = "normal") -> float:
    """Width of a text in points."""
    face = FontProperties(family=plt.rcParams["font.family"], weight=weight, size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, face, ismath=False)
    return float(width)


def wrapped(text: str, *, width: float, size: float, weight: str = "normal") -> str:
    """The text broken into lines of at most ``width`` points; a longer word stays whole.

    >>> wrapped("Won value rose", width=60, size=10).split(chr(10))
    ['Won value', 'rose']
    """
    lines: list[str] = []
    for word in _UNBROKEN.sub("\u00a0", text).split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _text_width(longer, size=size, weight=weight) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


# --- the sheet ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """Axes to draw on, and what will stand above them.

    >>> ax = Sheet.on(None, title=None).nothing("No deal is open")
    >>> ax.get_label()
    'No deal is open'
    """

    ax: Axes
    own: bool
    """Whether the figure is ours, so that the title may span it."""
    title: str | None
    """What the caller wants to read in place of the finding."""

    @classmethod
    def on(cls, ax: Axes | None, *, title: str | None, height: float = _HEIGHT) -> Sheet:
        """A sheet on a new figure, or on axes of the caller, which are cleared."""
        if ax is None:
            return cls(plt.subplots(figsize=(_WIDTH, height))[1], own=True, title=title)
        ax.clear()  # axes that were made elsewhere take on the style when they start anew
        for side, spine in ax.spines.items():
            spine.set(color=plt.rcParams["axes.edgecolor"], linewidth=plt.rcParams["axes.linewidth"])
            spine.set_visible(side == "bottom")
        return cls(ax, own=False, title=title)

    def nothing(self, why: str) -> Axes:
        """End with a small picture that says why there is nothing to see."""
        if self.own:
            figure_of(self.ax).set_figheight(1.6)
        self.ax.set_axis_off()
        self.ax.text(0.5, 0.5, wrapped(why, width=320, size=11), transform=self.ax.transAxes,
                     ha="center", va="center", size=11, color=MUTED)  # fmt: skip
        ax = self.finish("Nothing to show yet", about="")
        ax.set_label(self.title or why)
        return ax

    def finish(self, finding: str, *, about: str) -> Axes:
        """Write the finding as title and, small, what is shown; then fix what depends on the style."""
        ax, figure = self.ax, figure_of(self.ax)
        title = self.title or finding
        ax.set_label(title)
        if self.own:
            self._head(title, about)
        else:
            figure.draw_without_rendering()  # lays out, so that the room is known
            wide, high = (size / figure.dpi * 72 for size in ax.get_window_extent().size)
            ax.set_title(wrapped(title, width=wide, size=_TITLE, weight="semibold"), loc="left")
            if not ax.get_ylabel():
                ax.set_ylabel(wrapped(about, width=high, size=SIZE))
        # tick labels take their font when first drawn, which must be while the style holds
        figure.draw_without_rendering()
        return ax

    def _head(self, title: str, about: str) -> None:
        """Title and description across the figure, and a layout that leaves them their room.

        Plain texts, which a picture cut to what it shows keeps whole, as notebooks cut it: a suptitle would
        be laid out a second time, or be cut off where it is left out of the layout.
        """
        figure = figure_of(self.ax)
        wide, high = (inches * 72 for inches in figure.get_size_inches())
        left = plt.rcParams["figure.constrained_layout.w_pad"] * 72  # in line with what is drawn
        room = 0.98 * (wide - 2 * left)  # letters that are fitted to pixels come out a little wider
        below = 8.0  # points from the upper edge
        for text, size, spacing, weight, colour in (
            (title, _TITLE, 1.42, "semibold", INK),
            (about, SIZE, 1.4, "normal", MUTED),
        ):
            lines = wrapped(text, width=room, size=size, weight=weight)
            if lines:
                figure.text(left / wide, 1 - below / high, lines, ha="left", va="top", size=size,
                            weight=weight, color=colour, linespacing=1.2)  # fmt: skip
                below += size * spacing * (lines.count("\n") + 1) + 4
        engine = figure.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine):
            engine.set(rect=(0, 0, 1, 1 - below / high))


# --- scales ------------------------------------------------------------------------------------------------


def scale(
    axis: Axis, write: Callable[[float], str], *, most: int = 6, whole: bool = False, grid: bool = True
) -> None:
    """Ticks at round values, written by ``write``, with lines across the plot."""
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=whole, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(float(value))))
    if grid:
        axis.grid(True)


def headroom(ends: Floats, lines: npt.ArrayLike, *, floor: float) -> float:
    """Upper end of an axis on which labels of so many lines fit above what they label.

    >>> headroom(np.array([88.0]), [1], floor=0.0)
    100.0
    """
    share = (10 + 14 * np.asarray(lines, dtype=np.float64)) / 200  # a label's part of the height of a plot
    top = float((floor + (ends - floor) / (1 - share)).max())
    return top if top > floor else floor + 1.0


def thinned(number: int) -> list[int]:
    """Which of so many places along an axis get a label: the last, and up to nine before it.

    >>> thinned(3), thinned(12)
    ([0, 1, 2], [1, 3, 5, 7, 9, 11])
    """
    return [place for place in range(number) if not (number - 1 - place) % math.ceil(number / 10)]


# --- rows with intervals -----------------------------------------------------------------------------------


def rows_height(number: int, *, each: float | None = None) -> float:
    """Height in inches of a figure with one line per row; rows with intervals where ``each`` is left out.

    >>> rows_height(5, each=0.5)
    3.85
    """
    each = each or (0.175 if number > _MANY_ROWS else 0.3)
    return max(2.6, 1.35 + each * number)


def interval_rows(
    ax: Axes, names: pd.Series, low: Floats, middle: Floats, high: Floats, *, colours: npt.ArrayLike
) -> None:
    """One row per name, from below: a bar from low to high with a dot at the middle."""
    many, places = len(names) > _MANY_ROWS, np.arange(len(names))
    shades = np.asarray(colours)
    ax.hlines(places, low, high, color=shades, linewidth=2.4 if many else 3.2, alpha=0.45)
    ax.scatter(middle, places, s=26 if many else 42, color=shades, zorder=3)
    ax.set_yticks(places, [shortened(name) for name in names], size=SMALL if many else SIZE)
    ax.set_ylim(-0.7, len(names) + 0.7)


def column_beside(
    ax: Axes, texts: Sequence[str], *, right: float, looks: Sequence[tuple[str, str]], head: str = ""
) -> None:
    """Write a text beside each row, so many points right of the axes; looks are (colour, weight) by row."""
    size = SMALL if len(texts) > _MANY_ROWS else SIZE
    cells = [(row, text, *look, size) for row, (text, look) in enumerate(zip(texts, looks, strict=True))]
    for row, text, colour, weight, points in [*cells, (len(texts) + 0.15, head, MUTED, "normal", SMALL)]:
        ax.annotate(
            text, (1, row), (right, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center_baseline", size=points, color=colour, weight=weight, annotation_clip=False,
        )  # fmt: skip


# --- labels beside lines -----------------------------------------------------------------------------------

Line = tuple[Floats, Floats, str, str]
"""Values along x and y, label, colour."""


def label_lines(ax: Axes, lines: Sequence[Line], *, avoid: Sequence[tuple[Floats, Floats]] = ()) -> None:
    """Write the label of each line beside it, where it covers least of the lines and of other texts."""
    figure = figure_of(ax)
    dot = figure.dpi / 72  # pixels in a point
    paths = []
    for x, y in [*((line[0], line[1]) for line in lines), *avoid]:
        along = np.linspace(0, len(x) - 1, 200)
        points = np.column_stack([np.interp(along, np.arange(len(x)), values) for values in (x, y)])
        paths.append(ax.transData.transform(points))
    taken = [text.get_window_extent() for text in ax.texts]
    for own, (_, _, text, colour) in zip(paths, lines, strict=False):
        wide, high = _text_width(text, size=SIZE, weight="semibold") * dot, 12 * dot
        across, up = wide / 2 + 7 * dot, high / 2 + 6 * dot
        shifts = [
            (right, above) for right in (0, across, -across) for above in (up, -up, 0) if right or above
        ]
        others = [path for path in paths if path is not own]
        best, least = Bbox.null(), math.inf
        for step in range(8, 193, 4):
            x, y = own[step]
            apart = min((float(np.hypot(*(path - (x, y)).T).min()) for path in others), default=0.0)
            for right, above in shifts:
                place = Bbox.from_bounds(x + right - wide / 2, y + above - high / 2, wide, high)
                # far from the other lines, rather in the middle than at an end
                cost = _crowding(ax, place, paths, taken) + (abs(step - 100) / 5 - min(apart / dot, 60))
                if cost < least:
                    best, least = place, cost
        taken.append(best)
        x, y = ax.transData.inverted().transform(((best.x0 + best.x1) / 2, (best.y0 + best.y1) / 2))
        ax.text(x, y, text, ha="center", va="center", color=colour, weight="semibold")


def _crowding(ax: Axes, place: Bbox, paths: Sequence[Floats], taken: Sequence[Bbox]) -> float:
    """How bad a place for a label is: leaving the axes, over another text, over a line."""
    frame = ax.get_window_extent()
    inside = frame.contains(place.x0, place.y0) and frame.contains(place.x1, place.y1)
    covered = sum(place.count_contains(path) for path in paths)
    return (not inside) * 1e6 + place.count_overlaps(taken) * 1e4 + covered * 1e2

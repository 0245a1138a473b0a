"""Charts for the board: one function per chart, from a small table to one picture that states a finding.

The title says what the numbers show, computed from them; ``title=`` replaces it. What is drawn is labelled
where it is drawn, without legends. ``ax.get_label()`` is the finding, for use as the text of a page or as
the description of a picture.

Every function draws on its own figure of half a slide, or on ``ax``, which is cleared. Tables without
anything to draw give a picture that says so. Money is in the currency that is passed; ``"XXX"`` (ISO 4217:
no currency) is not written.
"""

from __future__ import annotations

import functools
import logging
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from salessim import formats
from salessim.errors import ParameterError
from salessim.measures import INCOMPLETE, LEVEL
from salessim.periods import quarter_of

__all__ = [
    "attainment_by_rep",
    "attainment_distribution",
    "bookings_by_quarter",
    "bookings_forecast",
    "capacity_ramp",
    "funnel",
    "measure_by_quarter",
    "pipeline_age",
    "quota_tradeoff",
    "ramp_curve",
    "save",
    "use_style",
    "win_rates",
]

FONT = "Fira Sans"
_STYLE = Path(__file__).with_name("salessim.mplstyle")
_NO_CURRENCY = "XXX"

# Blue and orange of about Okabe and Ito's hues, dark enough for text: told apart by colour-blind readers,
# and by their lightness in a black-and-white print.
BLUE, ORANGE, GREEN = "#0B4F83", "#C75000", "#00806A"
SKY, PALE = "#8FB8DE", "#DCE8F2"
INK, MUTED, FAINT = "#1F2A37", "#5A6672", "#C3CCD5"

# the space of "67 %" and of "EUR 3.10m", where no line may end
_UNBROKEN = re.compile(r" (?=%)|(?<=\b[A-Z]{3}) (?=[-\d])")

_SMALL = 9.0
_WIDTH, _HEIGHT = 6.4, 4.0
_FIFTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

Floats = npt.NDArray[np.float64]


# --- style -------------------------------------------------------------------------------------------------


@functools.cache
def _prepare() -> None:
    """Make the font known to matplotlib and load its backend, once, when the first chart is drawn."""
    from fontpkg import mpl

    # a missing fallback font is no news to a reader of a report
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    mpl.use(FONT)
    # A notebook's backend turns on interactive mode as it loads. Loaded by the first chart, within the style,
    # it would be turned off when the style ends, and no other chart would be shown.
    plt.switch_backend(matplotlib.get_backend())


@contextmanager
def _style() -> Iterator[None]:
    _prepare()
    with plt.style.context(_STYLE):
        yield


def use_style() -> None:
    """Make the look of salessim the default of this session, for charts that a notebook draws itself.

    The charts of this module do not need it.

    >>> use_style()
    >>> plt.rcParams["svg.fonttype"]
    'path'
    """
    _prepare()
    plt.style.use(_STYLE)


def save(ax: Axes, *, path: Path) -> Path:
    """Write the figure of a chart to a file; the suffix decides the format, such as svg or png.

    The same data give the same SVG, byte by byte: no date is written into it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save(funnel(pd.DataFrame({"stage": ["warm"], "deals": [3]})), path=Path(folder, "a.svg")).suffix
    '.svg'
    """
    with _style():
        _figure(ax).savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {})
    return path


# --- what charts share -------------------------------------------------------------------------------------


def _figure(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None  # an Axes on which one can draw has a figure
    return figure


def _canvas(ax: Axes | None, *, height: float = _HEIGHT) -> tuple[Axes, bool]:
    """The axes to draw on, and whether the figure is ours, so that the title may span it."""
    if ax is None:
        return plt.subplots(figsize=(_WIDTH, height))[1], True
    ax.clear()  # axes that were made elsewhere take on the style when they start anew
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[:].set(color=plt.rcParams["axes.edgecolor"], linewidth=plt.rcParams["axes.linewidth"])
    return ax, False


def _rows_height(rows: int, *, each: float) -> float:
    """Height of a figure with one line per row."""
    return max(2.6, 1.35 + each * rows)


def _text_width(text: str, *, size: float, weight: str = "normal") -> float:
    """Width of a text in points."""
    face = FontProperties(family=plt.rcParams["font.family"], weight=weight, size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, face, ismath=False)
    return float(width)


def _wrapped(text: str, *, width: float, size: float, weight: str = "normal") -> str:
    """The text broken into lines of at most ``width`` points; a longer word stays whole."""
    lines: list[str] = []
    for word in _UNBROKEN.sub("\u00a0", text).split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _text_width(longer, size=size, weight=weight) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _shortened(name: object, *, most: int = 30) -> str:
    text = str(name)
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _finish(ax: Axes, *, own: bool, finding: str, about: str) -> Axes:
    """Write the finding as title and, small, what is shown; then fix what depends on the style."""
    figure = _figure(ax)
    ax.set_label(finding)
    if own:
        size, width = 13.0, (figure.get_figwidth() - 0.3) * 72
        title = _wrapped(finding, width=width, size=size, weight="semibold")
        below = 9 + size * 1.42 * (title.count("\n") + 1)  # points from the top edge to the end of the title
        high = figure.get_figheight() * 72
        # not a suptitle: the layout would make room for it, which is taken off below for both texts together
        figure.text(0.018, 1 - 8 / high, title, ha="left", va="top", size=size, weight="semibold",
                    linespacing=1.2)  # fmt: skip
        small = _wrapped(about, width=width, size=10)
        figure.text(0.018, 1 - (below + 3) / high, small, ha="left", va="top", size=10, color=MUTED)
        engine = figure.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine):
            below += 6 + 14 * (small.count("\n") + 1) if about else 0
            engine.set(rect=(0, 0, 1, 1 - below / high))
    else:
        figure.draw_without_rendering()  # lays out, so that the room is known
        wide, high = (size / figure.dpi * 72 for size in ax.get_window_extent().size)
        ax.set_title(_wrapped(finding, width=wide, size=13, weight="semibold"), loc="left")
        if not ax.get_ylabel():
            ax.set_ylabel(_wrapped(about, width=high, size=10))
    # tick labels take their font when first drawn, which must be while the style holds
    figure.draw_without_rendering()
    return ax


def _nothing(ax: Axes, *, own: bool, finding: str, title: str | None) -> Axes:
    """A picture that says why there is nothing to see."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, _wrapped(finding, width=320, size=11), transform=ax.transAxes,
            ha="center", va="center", size=11, color=MUTED)  # fmt: skip
    ax = _finish(ax, own=own, finding=title or "Nothing to show yet", about="")
    ax.set_label(title or finding)
    return ax


def _money(amount: float, currency: str) -> str:
    return formats.money(amount, "" if currency == _NO_CURRENCY else currency, short=True).strip()


def _number(number: float, thing: str) -> str:
    """How many of a thing: 1 deal, 2,409 deals."""
    return f"{formats.count(number)} {thing}{'' if number == 1 else 's'}"


def _chance(share: float) -> str:
    """A share or probability; what is small but possible is not written as 0 %, nor its opposite as 100 %."""
    if 0 < share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else formats.percent(share)


def _in(currency: str) -> str:
    return "" if currency == _NO_CURRENCY else f", {currency}"


def _value(value: float, unit: str, currency: str) -> str:
    """A value in the unit of its measure, short enough for a label."""
    return _money(value, currency) if unit == "money" else formats.figure(value, unit)


def _band(band: tuple[float, float]) -> str:
    return f"{formats.percent(band[0]).removesuffix(' %')}–{formats.percent(band[1])}"


def _tick(axis: Axis, write: Callable[[float], str], *, most: int = 6, whole: bool = False) -> None:
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=whole, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(float(value))))


def _grid(axis: Axis) -> None:
    axis.grid(True, color="#E3E8ED", linewidth=0.8)


def _money_ticks(axis: Axis) -> None:
    _tick(axis, lambda value: _money(value, _NO_CURRENCY))


def _bare_bars(ax: Axes, *, along: Literal["x", "y"]) -> None:
    """Take away the value axis of bars that carry their values as labels."""
    if along == "x":
        ax.xaxis.set_visible(False)
        ax.spines["bottom"].set_visible(False)
    else:
        ax.yaxis.set_visible(False)
        ax.spines["left"].set_visible(False)


def _headroom(ends: Floats, lines: npt.ArrayLike, *, floor: float) -> float:
    """Upper end of an axis on which labels of so many lines fit above what they label."""
    share = (10 + 14 * np.asarray(lines, dtype=np.float64)) / 200  # a label's part of the height of a plot
    top = float((floor + (ends - floor) / (1 - share)).max())
    return top if top > floor else floor + 1.0


def _changed(new: float, old: float) -> str:
    """In words how a value moved: rose 12 %, fell 3 %, held level."""
    change = new / old - 1 if old else math.nan
    if not math.isfinite(change):
        return "came"
    if abs(change) < 0.005:
        return "held level"
    return f"{'rose' if change > 0 else 'fell'} {formats.percent(abs(change))}"


def _label_lines(
    ax: Axes, lines: Sequence[tuple[Floats, Floats, str, str]], *, avoid: Sequence[tuple[Floats, Floats]] = ()
) -> None:
    """Write (x, y, text, colour) beside each line, where it covers least of the lines and other labels."""
    dot = _figure(ax).dpi / 72  # pixels in a point
    paths = []
    for x, y in [*((line[0], line[1]) for line in lines), *avoid]:
        along = np.linspace(0, len(x) - 1, 200)
        points = np.column_stack([np.interp(along, np.arange(len(x)), values) for values in (x, y)])
        paths.append(ax.transData.transform(points))
    taken: list[Bbox] = []
    for own, (_, _, text, colour) in zip(paths, lines, strict=False):
        wide, high = _text_width(text, size=10, weight="semibold") * dot, 12 * dot
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
    """How bad a place for a label is: leaving the axes, over another label, over a line."""
    frame = ax.get_window_extent()
    inside = frame.contains(place.x0, place.y0) and frame.contains(place.x1, place.y1)
    covered = sum(place.count_contains(path) for path in paths)
    return (not inside) * 1e6 + place.count_overlaps(taken) * 1e4 + covered * 1e2


def _known(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Rows in which these columns hold a finite number."""
    numbers = frame[list(columns)].to_numpy(dtype=np.float64)
    known: pd.DataFrame = frame.loc[np.isfinite(numbers).all(axis=1)]
    return known.reset_index(drop=True)


def _floats(column: pd.Series) -> Floats:
    return column.to_numpy(dtype=np.float64)


# --- pipeline ----------------------------------------------------------------------------------------------


@_style()
def funnel(
    stages: pd.DataFrame, *, currency: str = _NO_CURRENCY, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """What is open in each stage: number of deals, their value and, dark, the value weighted by its chance.

    Args:
        stages: columns stage, deals and, where known, value and weighted_value (NaN: not known), in the order
            of the stages; as from :func:`salessim.measures.pipeline_by_stage`. Bars show value, or deals
            where no value is known.
        currency: ISO code of the values.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> ax = funnel(pd.DataFrame({"stage": ["cold", "warm"], "deals": [80, 20], "value": [8e5, 4e5]}))
    >>> ax.get_label()
    '‘cold’ holds 80 % of 100 open deals; together they are worth 1.20m'
    """
    rows = stages.reset_index(drop=True)
    deals = rows["deals"].to_numpy(dtype=int)
    ax, own = _canvas(ax, height=_rows_height(len(rows), each=0.5))
    if deals.sum() == 0:
        return _nothing(ax, own=own, finding="No deal is open on the day of the export", title=title)
    value, weighted = (
        _floats(rows[key]) if key in rows else np.full(len(rows), np.nan)
        for key in ("value", "weighted_value")
    )
    by_value = bool(np.isfinite(value).any())
    length = np.nan_to_num(value) if by_value else deals.astype(float)
    any_weighted = by_value and bool(np.isfinite(weighted).any())
    places = np.arange(len(rows))
    ax.barh(places, length, height=0.62, color=SKY if any_weighted else BLUE)
    if any_weighted:
        ax.barh(places, np.nan_to_num(weighted), height=0.62, color=BLUE)
    for place in places:
        parts = [_number(int(deals[place]), "deal")]
        if math.isfinite(value[place]):
            parts.append(_money(value[place], currency))
        if math.isfinite(weighted[place]):
            parts.append(f"weighted {_money(weighted[place], _NO_CURRENCY)}")
        ax.annotate(
            " · ".join(parts), (length[place], place), (6, 0), textcoords="offset points", va="center"
        )
    names = [_wrapped(_shortened(name, most=44), width=130, size=9.5) for name in rows["stage"]]
    ax.set_yticks(places, names)
    ax.set_ylim(len(rows) - 0.45, -0.55)
    _bare_bars(ax, along="x")
    ax.spines["left"].set_visible(False)
    largest = int(deals.argmax())
    share = float(deals[largest] / deals.sum())
    name = _shortened(rows["stage"][largest], most=44)
    finding = f"‘{name}’ holds {formats.percent(share)} of {_number(int(deals.sum()), 'open deal')}"
    if by_value:
        finding += f"; together they are worth {_money(float(np.nansum(value)), currency)}"
    if any_weighted:
        finding += f", weighted by their chance {_money(float(np.nansum(weighted)), currency)}"
    about = f"Open deals by stage; length: {'value' + _in(currency) if by_value else 'number of deals'}"
    if any_weighted:
        about += "; dark: weighted by the chance to close"
    return _finish(ax, own=own, finding=title or finding, about=about)


@_style()
def pipeline_age(
    ages_days: pd.Series, *, slowest_close_days: float, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """How old the open deals are, and which are older than any deal that ever closed: dead pipeline.

    Args:
        ages_days: age in days of each open deal (NaN: not known, left out); as from
            :func:`salessim.measures.open_ages_days`.
        slowest_close_days: days that the slowest deal on record took to close; NaN when none has closed.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> pipeline_age(pd.Series([10, 20, 200.0]), slowest_close_days=138).get_label()
    '33 % of the open pipeline is dead: 1 of 3 open deals is older than any deal that ever closed (138 days)'
    """
    ages = _floats(ages_days.dropna())
    ax, own = _canvas(ax)
    if ages.size == 0:
        return _nothing(ax, own=own, finding="No open deal has a date of first contact", title=title)
    known = math.isfinite(slowest_close_days)
    limit = float(slowest_close_days) if known else float(ages.max())
    width = next(w for w in (1, 2, 7, 14, 28, 91, 182, math.inf) if max(ages.max(), limit) / w <= 36)
    width = max(1.0, ages.max() / 36) if math.isinf(width) else width
    # an edge lies just after the slowest close, so that no bar is half dead
    edges = (
        limit
        + 1
        + width
        * np.arange(-math.ceil((limit + 1) / width), math.ceil(max(ages.max() - limit, 0) / width) + 1)
    )
    heights, _ = np.histogram(ages, bins=edges)
    dead_bar = edges[:-1] > limit
    ax.bar(
        edges[:-1], heights, width=np.diff(edges) * 0.94, align="edge", color=np.where(dead_bar, ORANGE, BLUE)
    )
    dead = int((ages > limit).sum())
    top = float(heights.max())
    ax.set_ylim(0, top * 1.18)
    ax.set_xlim(min(0.0, float(edges[0])) if ages.min() < 0 else 0, max(edges[-1], limit * 1.02))
    if known:
        ax.axvline(limit + 1, color=INK, linewidth=1, ymax=0.97)
        right = limit > ax.get_xlim()[1] * 0.62
        ax.annotate(
            f"slowest close on record: {formats.days(limit)}", (limit + 1, top * 1.13),
            (-6 if right else 6, 0), textcoords="offset points", ha="right" if right else "left", va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
        if dead:
            middle = float(np.average(edges[:-1][dead_bar], weights=heights[dead_bar]))
            high = float(heights[dead_bar].max())
            ax.annotate(
                f"{formats.count(dead)} dead", (max(middle, limit + 1), min(high, top * 0.95)), (4, 5),
                textcoords="offset points", color=ORANGE, weight="semibold",
            )  # fmt: skip
    _tick(ax.xaxis, formats.count, most=8)
    _tick(ax.yaxis, formats.count, most=4, whole=True)
    _grid(ax.yaxis)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("Days since first contact")
    everything = _number(ages.size, "open deal")
    if dead:
        share = formats.percent(dead / ages.size, digits=0 if dead / ages.size >= 0.005 else 1)
        finding = (
            f"{share} of the open pipeline is dead: {formats.count(dead)} of {everything} "
            f"{'is' if dead == 1 else 'are'} older than any deal that ever closed ({formats.days(limit)})"
        )
    elif known:
        finding = f"None of {everything} is older than the slowest close on record ({formats.days(limit)})"
    else:
        middle_age = formats.days(float(np.median(ages)))
        finding = f"Half of {everything} are older than {middle_age}; no deal has closed yet"
    return _finish(ax, own=own, finding=title or finding, about="Number of open deals by age")


# --- results -----------------------------------------------------------------------------------------------


@_style()
def bookings_by_quarter(
    frame: pd.DataFrame, *, currency: str = _NO_CURRENCY, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Won value and deals won by quarter; quarters that the export covers only in part are hatched.

    Args:
        frame: columns quarter, won_value, won_count, partial (bool); as from
            :func:`salessim.measures.bookings_by_quarter`.
        currency: ISO code of the values.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which compares the last two complete quarters.

    >>> frame = pd.DataFrame({"quarter": ["2026Q1", "2026Q2"], "won_value": [1e6, 1.25e6],
    ...                       "won_count": [40, 50], "partial": [False, False]})
    >>> bookings_by_quarter(frame, currency="EUR").get_label()
    'Won value rose 25 % to EUR 1.25m in 2026Q2, from 50 deals'
    """
    rows = _known(frame, ["won_value", "won_count"])
    ax, own = _canvas(ax)
    if rows["won_count"].sum() == 0:
        return _nothing(ax, own=own, finding="No deal has been won yet", title=title)
    value, partial = _floats(rows["won_value"]), rows["partial"].to_numpy(dtype=bool)
    places = np.arange(len(rows))
    bars = ax.bar(places, value, width=0.68, color=np.where(partial, PALE, BLUE))
    for bar, cut in zip(bars, partial, strict=True):
        if cut:
            bar.set(hatch="///", edgecolor=SKY)
    step = math.ceil(len(rows) / 10)
    shown = [place for place in places if not (len(rows) - 1 - place) % step]
    lines = []
    for place in shown:
        text = f"{_money(value[place], _NO_CURRENCY)}\n{formats.count(rows['won_count'][place])} won"
        if partial[place]:
            text += "\nincomplete data" if len(rows) <= 5 else "\nincomplete\ndata"
        lines.append(text.count("\n") + 1)
        ax.annotate(
            text, (place, value[place]), (0, 4), textcoords="offset points", ha="center", va="bottom",
            size=10 if len(rows) <= 6 else _SMALL, color=MUTED if partial[place] else INK, linespacing=1.2,
        )  # fmt: skip
    ax.set_xticks(shown, [str(rows["quarter"][place]) for place in shown])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.7, max(len(rows), 3) - 0.3)
    ax.set_ylim(0, max(_headroom(value[shown], lines, floor=0.0), float(value.max()) * 1.02))
    _bare_bars(ax, along="y")
    whole = rows[~partial].reset_index(drop=True)
    last = (whole if len(whole) else rows).iloc[-1]
    reached = f"{_money(float(last['won_value']), currency)} in {last['quarter']}"
    won = _number(float(last["won_count"]), "deal")
    if len(whole) > 1:
        moved = _changed(float(last["won_value"]), float(whole["won_value"].iloc[-2]))
        finding = f"Won value {moved} {'at' if moved == 'held level' else 'to'} {reached}, from {won}"
    else:
        finding = f"{won} won, worth {reached}"
        finding += "; no quarter is complete yet" if whole.empty else "; no earlier quarter to compare with"
    return _finish(
        ax, own=own, finding=title or finding, about=f"Won value by quarter of close{_in(currency)}"
    )


@_style()
def win_rates(
    frame: pd.DataFrame,
    *,
    group_label: str,
    team_rate: float,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """The win rate of each rep (source, region …) with its interval, against the rate of the team.

    Only groups whose interval leaves the team's rate outside are coloured. As every interval misses in one
    of five cases by luck alone, the title sets their number beside what luck would give.

    Args:
        frame: the group in a first column, then value, low, high, n; as from
            :func:`salessim.measures.measure` with ``by``. Groups without a value are not drawn.
        group_label: what a group is, in the singular: "rep", "source".
        team_rate: the rate of all together, as a fraction.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"rep": ["Ada", "Bo"], "value": [0.5, 0.7], "low": [0.4, 0.65],
    ...                       "high": [0.62, 0.75], "n": [20, 200]})
    >>> win_rates(frame, group_label="rep", team_rate=0.6).get_label()
    '1 of 2 reps differs from the team’s 60 %; luck alone would make 0.4 look so'
    """
    rows = _known(frame, ["value", "low", "high"]).sort_values("value", kind="stable", ignore_index=True)
    ax, own = _canvas(ax, height=_rows_height(len(rows), each=0.175 if len(rows) > 12 else 0.3))
    if rows.empty or not math.isfinite(team_rate):
        return _nothing(
            ax, own=own, finding=f"No {group_label} has closed a deal in this period", title=title
        )
    names = rows[rows.columns[0]]
    value, low, high = (_floats(rows[key]) for key in ("value", "low", "high"))
    above, below = low > team_rate, high < team_rate
    colours = np.where(above, BLUE, np.where(below, ORANGE, "#A3AEB9"))
    places = np.arange(len(rows))
    ax.axvline(team_rate, color=INK, linewidth=1)
    ax.hlines(places, low, high, color=colours, linewidth=2.4 if len(rows) > 12 else 3.2)
    ax.scatter(value, places, s=26 if len(rows) > 12 else 42, color=colours, zorder=3)
    size = _SMALL if len(rows) > 12 else 10
    for place in places:
        differs = bool(above[place] or below[place])
        ax.annotate(
            f"{formats.percent(value[place])}  n = {formats.count(rows['n'][place])}", (1.02, place),
            xycoords=("axes fraction", "data"), va="center", size=size, color=INK if differs else MUTED,
            weight="semibold" if differs else "normal", annotation_clip=False,
        )  # fmt: skip
    ax.set_yticks(places, [_shortened(name) for name in names], size=size)
    ax.set_ylim(-0.7, len(rows) + 0.7)
    ax.annotate(
        f"team {formats.percent(team_rate)}", (team_rate, len(rows) + 0.15), (5, 0),
        textcoords="offset points", va="center", weight="semibold",
    )  # fmt: skip
    room = 0.06 * (max(high.max(), team_rate) - min(low.min(), team_rate)) + 0.005
    ax.set_xlim(max(-0.01, min(low.min(), team_rate) - room), min(1.01, max(high.max(), team_rate) + room))
    ax.spines["left"].set_visible(False)
    _tick(ax.xaxis, formats.percent)
    _grid(ax.xaxis)
    differ, groups = int((above | below).sum()), len(rows)
    by_luck = (1 - LEVEL) * groups
    many = f"{group_label}s" if groups != 1 else group_label
    team = f"the team’s {formats.percent(team_rate)}"
    luck = f"luck alone would make {formats.count(round(by_luck, 1))} look so"
    # more than luck gives in nineteen of twenty teams of this size
    notable = differ > by_luck + 1.645 * math.sqrt(groups * LEVEL * (1 - LEVEL))
    if differ == 0:
        finding = f"No {group_label} differs from {team} by more than luck explains"
    elif notable or groups < 5:
        finding = f"{differ} of {groups} {many} {'differs' if differ == 1 else 'differ'} from {team}; {luck}"
    else:
        lie = "lies" if differ == 1 else "lie"
        finding = f"No sign that {many} differ: {differ} of {groups} {lie} outside {team}, and {luck}"
    about = f"Win rate by {group_label}; bar: {formats.percent(LEVEL)} interval; n: deals"
    return _finish(ax, own=own, finding=title or finding, about=about)


@_style()
def measure_by_quarter(
    frame: pd.DataFrame,
    *,
    label: str,
    unit: str,
    currency: str = _NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """One measure over the quarters with its interval; quarters with incomplete data are hollow.

    Args:
        frame: columns quarter, value, low, high, n, note; as from :func:`salessim.measures.measure` with
            ``by="quarter"``. Quarters without a value are not drawn.
        label: name of the measure.
        unit: its unit: share, money, days, count or ratio.
        currency: ISO code, for money.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which compares the last two complete quarters.

    >>> frame = pd.DataFrame({"quarter": ["2026Q1", "2026Q2"], "value": [0.5, 0.52], "low": [0.45, 0.47],
    ...                       "high": [0.55, 0.57], "n": [160, 160], "note": ""})
    >>> measure_by_quarter(frame, label="Win rate", unit="share").get_label()
    'Win rate was 52.0 % in 2026Q2 against 50.0 % in 2026Q1, a change that luck can explain'
    """
    rows = _known(frame, ["value"])
    ax, own = _canvas(ax)
    if rows.empty:
        note = str(frame["note"].iloc[0]) if len(frame) else ""
        return _nothing(
            ax, own=own, finding=f"{label} is not known{': ' + note if note else ''}", title=title
        )
    value, low, high = (_floats(rows[key]) for key in ("value", "low", "high"))
    partial = rows["note"].astype(str).str.contains(INCOMPLETE, regex=False).to_numpy(dtype=bool)
    places = np.arange(len(rows))
    whole = np.flatnonzero(~partial)
    ax.plot(places[whole], value[whole], color=SKY, linewidth=1.6)
    ax.vlines(places, low, high, color=np.where(partial, FAINT, BLUE), linewidth=3)
    ax.scatter(places[whole], value[whole], s=52, color=BLUE, zorder=3)
    ax.scatter(
        places[partial],
        value[partial],
        s=46,
        facecolor="white",
        edgecolor=MUTED,
        linewidth=1.4,
        zorder=3,
        clip_on=False,
    )
    step = math.ceil(len(rows) / 10)
    shown = [place for place in places if not (len(rows) - 1 - place) % step]
    ends = np.where(np.isfinite(high), high, value)
    for place in shown:
        text, end = _value(value[place], unit, _NO_CURRENCY), ends[place]
        if partial[place]:
            text += "\nincomplete data" if len(rows) <= 6 else "\nincomplete"
        ax.annotate(
            text, (place, end), (0, 7), textcoords="offset points", ha="center", va="bottom",
            size=10 if len(rows) <= 6 else _SMALL, color=MUTED if partial[place] else INK,
            weight="normal" if partial[place] else "semibold",
        )  # fmt: skip
    sizes = ["" if unit == "count" else f"\nn = {formats.count(rows['n'][place])}" for place in shown]
    ax.set_xticks(shown, [f"{rows['quarter'][place]}{n}" for place, n in zip(shown, sizes, strict=True)])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, max(len(rows), 3) - 0.4)
    bottom = float(np.nanmin(np.append(low, value)))
    room = 0.25 * ((float(ends.max()) - bottom) or abs(bottom) or 1.0)
    floor = max(0.0, bottom - room) if bottom >= 0 else bottom - room
    ax.set_ylim(floor, _headroom(ends, 1 + partial.astype(int), floor=floor))
    _tick(ax.yaxis, lambda number: _value(number, unit, _NO_CURRENCY), most=4)
    _grid(ax.yaxis)
    ax.spines["left"].set_visible(False)
    finding = _compared(rows, whole, label=label, unit=unit, currency=currency)
    interval = f"; bar: {formats.percent(LEVEL)} interval" if np.isfinite(low).any() else ""
    about = f"{label} by quarter{_in(currency) if unit == 'money' else ''}{interval}"
    return _finish(ax, own=own, finding=title or finding, about=about)


def _compared(
    rows: pd.DataFrame, whole: npt.NDArray[np.int64], *, label: str, unit: str, currency: str
) -> str:
    """In words how the last complete quarter compares with the complete one before."""
    last = rows.iloc[int(whole[-1])] if len(whole) else rows.iloc[-1]
    figure = _value(float(last["value"]), unit, currency)
    if len(whole) < 2:
        why = "no earlier quarter to compare with" if len(whole) else "data are incomplete"
        return f"{label} was {figure} in {last['quarter']}; {why}"
    before = rows.iloc[int(whole[-2])]
    earlier = f"{_value(float(before['value']), unit, currency)} in {before['quarter']}"
    if not (math.isfinite(last["low"]) and math.isfinite(before["low"])):
        if unit == "share":
            return f"{label} was {figure} in {last['quarter']} against {earlier}"
        moved = _changed(float(last["value"]), float(before["value"]))
        return f"{label} {moved} {'at' if moved == 'held level' else 'to'} {figure} in {last['quarter']}"
    if last["low"] > before["high"] or last["high"] < before["low"]:
        moved = "rose" if last["value"] > before["value"] else "fell"
        return f"{label} {moved} to {figure} in {last['quarter']} from {earlier}, more than luck explains"
    return f"{label} was {figure} in {last['quarter']} against {earlier}, a change that luck can explain"


# --- quota plan --------------------------------------------------------------------------------------------


@_style()
def attainment_distribution(
    pmf: Sequence[float] | npt.ArrayLike,
    *,
    band: tuple[float, float] = (0.60, 0.75),
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """How many reps will make quota: the probability of each number, the healthy band coloured [B1].

    Args:
        pmf: probability that exactly k reps attain, for k = 0 … n; shape (n + 1,).
        band: share of reps attaining that counts as healthy, both ends included.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> attainment_distribution([0.1, 0.2, 0.5, 0.2]).get_label()
    'The share attaining lands in 60–75 % with probability 50 %; expected 60 %'
    """
    chance = np.asarray(pmf, dtype=np.float64).ravel()
    reps = chance.size - 1
    ax, own = _canvas(ax)
    if reps < 1 or not np.isfinite(chance).all() or chance.sum() <= 0:
        return _nothing(ax, own=own, finding="No rep has a quota in this period", title=title)
    number = np.arange(reps + 1)
    share = number / reps
    inside = (share >= band[0] - 1e-9) & (share <= band[1] + 1e-9)
    expected = float(chance @ share / chance.sum())
    ax.bar(number, chance, width=0.86, color=np.where(inside, BLUE, FAINT))
    top = float(chance.max())
    seen = number[chance > top / 2000]
    left, right = int(seen.min()), int(seen.max())
    if inside.any():
        left, right = min(left, int(number[inside].min())), max(right, int(number[inside].max()))
        first, last = number[inside].min() - 0.5, number[inside].max() + 0.5
        ax.axvspan(first, last, color=PALE, alpha=0.6, zorder=0)
        ax.text(
            (first + last) / 2, top * 1.13, f"{_band(band)}: {_chance(float(chance[inside].sum()))}",
            ha="center", va="center", color=BLUE, weight="semibold",
        )  # fmt: skip
    ax.set_ylim(0, top * 1.22)
    ax.set_xlim(left - 0.8, right + 0.8)
    centre = expected * reps
    ax.plot([centre], [0], marker="^", markersize=9, color=INK, clip_on=False, zorder=4)
    ax.set_xlabel(
        f"Reps at or above quota, of {formats.count(reps)}   (▲ expected: {formats.count(round(centre, 1))})"
    )
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.count(value)))
    ax.tick_params(axis="x", pad=7)
    _tick(ax.yaxis, formats.percent, most=4)
    _grid(ax.yaxis)
    ax.spines["left"].set_visible(False)
    if inside.any():
        probability = _chance(float(chance[inside].sum()))
        finding = (
            f"The share attaining lands in {_band(band)} with probability {probability}; "
            f"expected {formats.percent(expected)}"
        )
    else:
        finding = (
            f"With {_number(reps, 'rep')} no outcome lies in {_band(band)}; "
            f"the expected share attaining is {formats.percent(expected)}"
        )
    return _finish(
        ax, own=own, finding=title or finding, about="Probability of each number of reps attaining"
    )


@_style()
def quota_tradeoff(
    curve: pd.DataFrame,
    *,
    recommended_quota: float,
    currency: str = _NO_CURRENCY,
    band: tuple[float, float] = (0.60, 0.75),
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What a higher quota costs: share of reps attaining, chance of the band, chance of the plan [B1, B6].

    Args:
        curve: columns quota, share_attaining, probability_band, probability_plan (fractions; NaN: not known).
        recommended_quota: the quota to mark.
        currency: ISO code of the quotas.
        band: share of reps attaining that counts as healthy.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> curve = pd.DataFrame({"quota": [8e4, 1e5, 1.2e5], "share_attaining": [0.8, 0.66, 0.5],
    ...                       "probability_band": [0.3, 0.6, 0.2], "probability_plan": [0.5, 0.7, 0.8]})
    >>> quota_tradeoff(curve, recommended_quota=1e5, currency="EUR").get_label()
    'At a quota of EUR 100k, 66 % of reps attain; the share lands in 60–75 % with probability 60 %'
    """
    rows = _known(curve, ["quota", "share_attaining"]).sort_values("quota", ignore_index=True)
    ax, own = _canvas(ax)
    if rows.empty:
        return _nothing(ax, own=own, finding="No quota has been scored", title=title)
    quota = _floats(rows["quota"])
    if not quota[0] <= recommended_quota <= quota[-1]:
        raise ParameterError(
            f"recommended_quota is {recommended_quota:g}; the curve covers {quota[0]:g} to {quota[-1]:g}"
        )
    ax.axhspan(*band, color=PALE, alpha=0.8, zorder=0)
    room = 0.03 * (quota[-1] - quota[0]) or 0.05 * quota[0] or 1.0
    ax.set_xlim(quota[0] - room, quota[-1] + room)
    ax.set_ylim(0, 1.14)
    drawn = []
    looks = (
        ("share_attaining", "share of reps attaining", BLUE, "-"),
        ("probability_band", f"chance of {_band(band)}", ORANGE, "--"),
        ("probability_plan", "chance of the team plan", GREEN, "-."),
    )
    at: dict[str, float] = {}
    for key, text, colour, dashes in looks:
        points = _known(rows, [key])
        if points.empty:
            continue
        x, y = _floats(points["quota"]), _floats(points[key])
        ax.plot(x, y, color=colour, linestyle=dashes, marker="o" if len(x) == 1 else None)
        at[key] = float(np.interp(recommended_quota, x, y))
        ax.scatter([recommended_quota], [at[key]], s=40, color=colour, zorder=3)
        drawn.append((x, y, text, colour))
    ax.axvline(recommended_quota, ymax=0.985, color=INK, linewidth=1)
    right = recommended_quota > float(np.mean(ax.get_xlim()))
    ax.annotate(
        f"recommended: {_money(recommended_quota, currency)}", (recommended_quota, 1.09),
        (-6 if right else 6, 0), textcoords="offset points", ha="right" if right else "left", va="center",
        weight="semibold",
    )  # fmt: skip
    _money_ticks(ax.xaxis)
    ax.set_yticks(_FIFTHS, [formats.percent(share) for share in _FIFTHS])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"Quota of a fully ramped rep{_in(currency)}")
    attaining = formats.percent(at["share_attaining"])
    finding = f"At a quota of {_money(recommended_quota, currency)}, {attaining} of reps attain"
    if "probability_band" in at:
        probability = _chance(at["probability_band"])
        finding += f"; the share lands in {_band(band)} with probability {probability}"
    about = f"Share or probability; shaded: healthy band {_band(band)}"
    ax = _finish(ax, own=own, finding=title or finding, about=about)
    _label_lines(ax, drawn, avoid=[(np.full(2, recommended_quota), np.array([0.0, 1.0]))])
    return ax


@_style()
def attainment_by_rep(
    frame: pd.DataFrame, *, currency: str = _NO_CURRENCY, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Where each rep will land against the own quota, and the chance of making it [B5].

    Args:
        frame: columns rep, quota, p10, p50, p90 (bookings) and chance (fraction). A rep without a quota has
            no attainment and is left out, which the picture says.
        currency: ISO code of quotas and bookings.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"rep": ["Ada", "Bo"], "quota": [1e5, 1e5], "p10": [6e4, 5e4],
    ...                       "p50": [1.1e5, 9e4], "p90": [1.6e5, 1.3e5], "chance": [0.6, 0.4]})
    >>> attainment_by_rep(frame, currency="EUR").get_label()
    '1 of 2 reps has less than an even chance of making quota: Bo (40 %)'
    """
    rows = _known(frame, ["quota", "p10", "p50", "p90", "chance"])
    rows = rows[rows["quota"] > 0].sort_values(["chance", "p50"], kind="stable", ignore_index=True)
    ax, own = _canvas(ax, height=_rows_height(len(rows), each=0.175 if len(rows) > 12 else 0.3))
    if rows.empty:
        return _nothing(ax, own=own, finding="No rep has a quota in this period", title=title)
    quota, chance = _floats(rows["quota"]), _floats(rows["chance"])
    low, middle, high = (_floats(rows[key]) / quota for key in ("p10", "p50", "p90"))
    places = np.arange(len(rows))
    colours = np.where(chance < 0.5, ORANGE, BLUE)
    ax.axvline(1.0, color=INK, linewidth=1)
    ax.hlines(places, low, high, color=colours, linewidth=2.4 if len(rows) > 12 else 3.2, alpha=0.45)
    ax.scatter(middle, places, s=26 if len(rows) > 12 else 42, color=colours, zorder=3)
    size = _SMALL if len(rows) > 12 else 10
    top = len(rows) + 0.15
    quotas = [_money(each, _NO_CURRENCY) for each in quota]
    columns = (
        ("chance", [_chance(share) for share in chance], 8, list(colours), "semibold"),
        (f"quota{_in(currency)}", quotas, 54, [MUTED] * len(rows), "normal"),
    )
    for head, texts, right, inks, weight in columns:
        ax.annotate(
            head, (1, top), (right, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", size=_SMALL, color=MUTED, annotation_clip=False,
        )  # fmt: skip
        for place in places:
            ax.annotate(
                texts[place], (1, place), (right, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", size=size, color=inks[place], weight=weight,
                annotation_clip=False,
            )  # fmt: skip
    ax.set_yticks(places, [_shortened(name) for name in rows["rep"]], size=size)
    ax.set_ylim(-0.7, len(rows) + 0.7)
    ax.set_xlim(0, max(1.15, float(high.max()) * 1.04))
    ax.annotate("quota", (1.0, top), (5, 0), textcoords="offset points", va="center", weight="semibold")
    ax.spines["left"].set_visible(False)
    _tick(ax.xaxis, formats.percent)
    _grid(ax.xaxis)
    ax.set_xlabel("Attainment (bookings ÷ quota)")
    behind = rows[chance < 0.5]
    reps = _number(len(rows), "rep")
    if behind.empty:
        all_have = f"The {reps} has" if len(rows) == 1 else f"All {reps} have"
        finding = f"{all_have} at least an even chance of making quota"
    else:
        have = "has" if len(behind) == 1 else "have"
        finding = f"{formats.count(len(behind))} of {reps} {have} less than an even chance of making quota"
        if len(behind) <= 3:
            odds = zip(behind["rep"], _floats(behind["chance"]), strict=True)
            finding += ": " + ", ".join(f"{_shortened(rep, most=24)} ({_chance(c)})" for rep, c in odds)
    left_out = len(frame) - len(rows)
    about = "Dot: median; bar: P10 to P90" + (f"; {left_out} without a quota left out" if left_out else "")
    return _finish(ax, own=own, finding=title or finding, about=about)


@_style()
def bookings_forecast(
    frame: pd.DataFrame,
    *,
    currency: str = _NO_CURRENCY,
    plan: float | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What the team will book: the probability of reaching each amount, with P10, P50, P90 and the plan.

    Args:
        frame: columns amount and probability_at_least (fraction, falling with the amount).
        currency: ISO code of the amounts.
        plan: the team plan, where there is one.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"amount": [0, 1e6, 2e6, 3e6], "probability_at_least": [1, 0.9, 0.5, 0.1]})
    >>> bookings_forecast(frame, currency="EUR", plan=1.5e6).get_label()
    'The team books the plan of EUR 1.50m with probability 70 %; even odds for EUR 2.00m'
    """
    rows = _known(frame, ["amount", "probability_at_least"]).sort_values("amount", ignore_index=True)
    ax, own = _canvas(ax)
    if rows.empty:
        return _nothing(ax, own=own, finding="No bookings have been forecast", title=title)
    amount, chance = _floats(rows["amount"]), _floats(rows["probability_at_least"])
    p10, p50, p90 = (float(np.interp(-level, -chance, amount)) for level in (0.9, 0.5, 0.1))
    seen = amount[(chance > 0.002) & (chance < 0.998)]
    left, right = (
        (float(seen.min()), float(seen.max())) if seen.size else (float(amount[0]), float(amount[-1]))
    )
    if plan is not None:
        left, right = min(left, plan), max(right, plan)
    room = 0.04 * (right - left) or 0.1 * abs(right) or 1.0
    ax.set_xlim(left - room, right + 3 * room)
    ax.set_ylim(0, 1.03)
    within = (amount >= p10) & (amount <= p90)
    across = np.concatenate([[p10], amount[within], [p90]])
    ax.fill_between(across, np.interp(across, amount, chance), color=PALE, alpha=0.9, zorder=0)
    ax.plot(amount, chance, color=BLUE)
    for name, at, level in (("P10", p10, 0.9), ("P50", p50, 0.5), ("P90", p90, 0.1)):
        ax.scatter([at], [level], s=44, color=BLUE, zorder=3)
        # the plan's line would cross a label on the right of its point
        crossed = plan is not None and at <= plan < at + 0.38 * (right - left)
        ax.annotate(
            f"{name}  {_money(at, currency)}", (at, level), (-9 if crossed else 9, -13 if crossed else 5),
            textcoords="offset points", ha="right" if crossed else "left", weight="semibold", color=BLUE,
        )  # fmt: skip
    _money_ticks(ax.xaxis)
    _tick(ax.yaxis, formats.percent)
    _grid(ax.yaxis)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"Bookings of the team{_in(currency)}")
    if plan is None:
        finding = (
            f"Bookings land between {_money(p10, currency)} and {_money(p90, currency)} with probability "
            f"{formats.percent(LEVEL)}; even odds for {_money(p50, currency)}"
        )
    else:
        if (plan > amount[-1] and chance[-1] > 0.02) or (plan < amount[0] and chance[0] < 0.98):
            raise ParameterError(f"plan is {plan:g}; the forecast covers {amount[0]:g} to {amount[-1]:g}")
        reached = float(np.interp(plan, amount, chance))
        ax.axvline(plan, color=ORANGE, linewidth=1.6)
        # the free corners are under the curve on the left, above it elsewhere
        low = plan < p10
        right_of = plan < left + (0.35 if low else 0.7) * (right - left)
        ax.annotate(
            f"plan {_money(plan, currency)}:\n{_chance(reached)} chance", (plan, 0.02 if low else 1.02),
            (6 if right_of else -6, 2 if low else -2), textcoords="offset points",
            ha="left" if right_of else "right", va="bottom" if low else "top", color=ORANGE,
            weight="semibold",
        )  # fmt: skip
        finding = (
            f"The team books the plan of {_money(plan, currency)} with probability "
            f"{_chance(reached)}; even odds for {_money(p50, currency)}"
        )
    about = "Probability of booking at least the amount; shaded: P10 to P90"
    return _finish(ax, own=own, finding=title or finding, about=about)


# --- onboarding --------------------------------------------------------------------------------------------


@_style()
def capacity_ramp(
    frame: pd.DataFrame,
    *,
    fiscal_year_starts_in_month: int = 1,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Sellers on the payroll against the capacity that they carry while newcomers ramp up [C3].

    Args:
        frame: columns week (dates), headcount, and productive: ramped capacity in full reps.
        fiscal_year_starts_in_month: for the names of the quarters.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which names the quarter with the largest gap and the month from which
            capacity is full for good.

    >>> frame = pd.DataFrame({"week": pd.to_datetime(["2026-07-06", "2026-10-05", "2027-03-01"]),
    ...                       "headcount": [12, 12, 12], "productive": [9.4, 11.0, 12.0]})
    >>> capacity_ramp(frame).get_label()
    '12 sellers on the payroll carry the capacity of 9.4 in 2026Q3; full capacity in March 2027'
    """
    rows = _known(frame, ["headcount", "productive"])
    rows = rows[rows["week"].notna()].sort_values("week", ignore_index=True)
    ax, own = _canvas(ax)
    if rows.empty or float(rows["headcount"].max()) <= 0:
        return _nothing(ax, own=own, finding="Nobody is on the payroll in these weeks", title=title)
    weeks = [week.date() for week in pd.to_datetime(rows["week"])]
    day = np.array([week.toordinal() for week in weeks], dtype=np.float64)
    quarters = [quarter_of(w, fiscal_year_starts_in_month=fiscal_year_starts_in_month) for w in weeks]
    headcount, productive = _floats(rows["headcount"]), _floats(rows["productive"])
    ax.fill_between(day, productive, headcount, color="#F6E3D5", step="post")
    ax.fill_between(day, 0, productive, color=PALE, alpha=0.8, step="post")
    marker = "o" if len(rows) == 1 else None
    ax.plot(day, headcount, color=ORANGE, drawstyle="steps-post", marker=marker)
    ax.plot(day, productive, color=BLUE, drawstyle="steps-post", marker=marker)
    if len(rows) == 1:
        ax.set_xlim(day[0] - 30, day[0] + 30)
    else:
        ax.set_xlim(day[0], day[-1])
    ax.set_ylim(0, float(max(headcount.max(), productive.max())) * 1.18)
    starts = [q for q in dict.fromkeys(quarters) if q.start >= weeks[0]] or quarters[:1]
    starts = starts[:: math.ceil(len(starts) / 8)]
    ax.set_xticks([max(q.start.toordinal(), day[0]) for q in starts], [str(q) for q in starts])
    _tick(ax.yaxis, formats.count, most=5, whole=True)
    _grid(ax.yaxis)
    ax.spines["left"].set_visible(False)
    means = rows[["headcount", "productive"]].groupby([str(q) for q in quarters], sort=False).mean()
    means = means[means["headcount"] > 0]
    worst = str((means["productive"] / means["headcount"]).idxmin())
    sellers, carried = means["headcount"][worst], means["productive"][worst]
    short = productive < 0.995 * headcount
    if not short.any():
        sellers_now = formats.count(round(float(headcount.mean()), 1))
        finding = f"All {sellers_now} sellers are at full capacity in every week shown"
    else:
        last_short = int(np.flatnonzero(short)[-1])
        finding = (
            f"{formats.count(round(float(sellers), 1))} sellers on the payroll carry the capacity of "
            f"{formats.count(round(float(carried), 1))} in {worst}; "
        )
        if last_short + 1 < len(rows):
            full = weeks[last_short + 1]
            finding += f"full capacity in {_MONTHS[full.month - 1]} {full.year}"
        else:
            final = weeks[-1]
            finding += f"capacity is not full by {_MONTHS[final.month - 1]} {final.year}"
    ax = _finish(ax, own=own, finding=title or finding, about="Number of sellers, by week")
    _label_lines(
        ax, [(day, headcount, "on the payroll", ORANGE), (day, productive, "capacity in full reps", BLUE)]
    )
    return ax


# not from the calendar module: its names follow the language of the machine
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


@_style()
def ramp_curve(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """How productive a newcomer is by month of tenure [C2].

    Args:
        frame: columns month_of_tenure (1 is the first), productivity (1 is a full rep) and, for several
            curves, role.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"month_of_tenure": [1, 2, 3, 4], "productivity": [0.1, 0.4, 0.7, 1.0]})
    >>> ramp_curve(frame).get_label()
    'A newcomer is fully productive in month 4; the first 3 months yield the work of 1.2'
    """
    rows = _known(frame, ["month_of_tenure", "productivity"])
    ax, own = _canvas(ax)
    if rows.empty:
        return _nothing(ax, own=own, finding="No ramp is defined", title=title)
    roles = rows["role"].astype(str) if "role" in rows else pd.Series("", index=rows.index)
    names = list(dict.fromkeys(roles))
    dashes = ("-", "--", "-.", (0, (1, 1.2)))
    lines: list[tuple[Floats, Floats, str, str]] = []
    full: dict[str, int | None] = {}
    for place, name in enumerate(names):
        curve = rows[roles == name].sort_values("month_of_tenure")
        month, productivity = _floats(curve["month_of_tenure"]), _floats(curve["productivity"])
        colour = (BLUE, ORANGE, GREEN, MUTED)[place % 4]
        ax.plot(month, productivity, color=colour, linestyle=dashes[place % 4], marker="o", markersize=5)
        lines.append((month, productivity, _shortened(name), colour))
        reached = np.flatnonzero(productivity >= 0.995)
        full[name] = int(month[reached[0]]) if reached.size else None
    first, last = float(rows["month_of_tenure"].min()), float(rows["month_of_tenure"].max())
    ax.axhline(1.0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    ax.set_xlim(first - 0.4, last + 0.4)
    ax.set_ylim(0, max(1.15, float(rows["productivity"].max()) * 1.12))
    ax.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.count(value)))
    _tick(ax.yaxis, formats.percent, most=5)
    _grid(ax.yaxis)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("Month of tenure")
    known = {name: month for name, month in full.items() if month is not None}
    if not known:
        best = formats.percent(float(rows["productivity"].max()))
        finding = f"A newcomer reaches {best} of a full rep by month {formats.count(last)}"
    elif len(names) == 1:
        reached_in = known[names[0]]
        before = rows[rows["month_of_tenure"] < reached_in]
        finding = f"A newcomer is fully productive in month {reached_in}"
        if len(before):
            done = formats.count(round(float(before["productivity"].sum()), 1))
            finding += f"; the first {len(before)} months yield the work of {done}"
    else:
        quickest, slowest = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
        finding = (
            f"Full productivity comes in month {known[quickest]} ({_shortened(quickest)}) "
            f"to {known[slowest]} ({_shortened(slowest)})"
            if known[quickest] != known[slowest]
            else f"Full productivity comes in month {known[quickest]}"
        )
        if len(known) < len(names):
            never = ", ".join(_shortened(name) for name in names if name not in known)
            finding += f"; not within the months shown: {never}"
    ax = _finish(
        ax, own=own, finding=title or finding, about="Productivity by month of tenure; 100 % is a full rep"
    )
    if len(names) > 1:
        _label_lines(ax, lines)
    return ax

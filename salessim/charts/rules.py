"""Charts of what luck does to quotas: rep by rep, through time, and to the rule that raises the bar."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb

from salessim import formats
from salessim.charts.canvas import (
    SIZE,
    SMALL,
    Floats,
    Sheet,
    column_beside,
    floats,
    interval_rows,
    known,
    rows_height,
    scale,
    thinned,
    wrapped,
)
from salessim.charts.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    ORANGE,
    PALE,
    SKY,
    figure_of,
    styled,
)
from salessim.charts.words import chance, number, shortened, to_share
from salessim.errors import ParameterError, listed
from salessim.measures import LEVEL

__all__ = ["attainment_history", "attainment_strip", "rule_laboratory", "variance_split"]

_FEW_REPS = 10
_SOURCES = ("luck", "territory", "skill", "market")
# neighbours differ in lightness, so that a black-and-white print tells them apart
_SOURCE_COLOURS = {"luck": BLUE, "territory": SKY, "skill": ORANGE, "market": PALE}
_SCALE = LinearSegmentedColormap.from_list("chance", ["#F1F6FA", PALE, SKY, "#3D7FB5", BLUE, "#062C4A"])


@styled()
def attainment_strip(
    frame: pd.DataFrame,
    *,
    against: Literal["quota", "forecast"] = "quota",
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Which reps landed further from what was to be expected of them than chance explains [B5].

    The interval leaves one of five reps outside by luck alone; the title sets their number beside that.

    Args:
        frame: columns rep, attainment (bookings ÷ quota; NaN: none yet), low and high (P10 and P90 of the
            attainment of an unchanged rep) and chance of making quota (fraction; NaN: not known). A rep
            without an interval cannot be judged and is left out, which the picture says.
        against: what bookings are divided by, where there are no quotas: "forecast".
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"rep": ["Ada", "Bo"], "attainment": [0.9, 0.3], "low": [0.6, 0.5],
    ...                       "high": [1.4, 1.3], "chance": [0.6, 0.5]})
    >>> attainment_strip(frame).get_label()
    '1 of 2 reps landed inside the expected range; outside: Bo (below); by chance 0.4 would be outside'
    """
    rows = known(frame, ["low", "high"])
    place = rows["attainment"].fillna(-np.inf), (rows["low"] + rows["high"]) / 2
    rows = rows.iloc[np.lexsort((place[1], place[0]))].reset_index(drop=True)
    # its title and description take two lines each
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows)) + 0.6)
    if rows.empty:
        return sheet.nothing("No rep has an interval of luck in this period")
    ax = sheet.ax
    made, low, high = (floats(rows[key]) for key in ("attainment", "low", "high"))
    landed, below, above = np.isfinite(made), made < low, made > high
    colours = np.where(above, BLUE, np.where(below, ORANGE, MUTED))
    ax.axvline(1.0, color=INK, linewidth=1)
    inside = landed & ~below & ~above
    interval_rows(ax, rows["rep"], low, np.where(inside, made, np.nan), high, colours=colours)
    for outside, marker, colour in ((above, "^", BLUE), (below, "v", ORANGE)):
        ax.scatter(made[outside], np.flatnonzero(outside), s=48, marker=marker, color=colour, zorder=3)
    bold = [(str(colour), "semibold") for colour in colours]
    column_beside(ax, [formats.percent(each) for each in made], right=8, looks=bold, head="made")
    odds = [chance(each) if np.isfinite(each) else formats.MISSING for each in floats(rows["chance"])]
    column_beside(ax, odds, right=62, looks=[(MUTED, "normal")] * len(rows), head="chance")
    least, most = float(np.nanmin([made, low])), float(np.nanmax([made, high]))
    room = 0.04 * (max(1.15, most) - min(0.0, least))
    ax.set_xlim(least - room if least < 0 else 0.0, max(1.15, most + room))
    ax.annotate(
        against, (1.0, len(rows) + 0.15), (5, 0), textcoords="offset points", va="center_baseline",
        weight="semibold",
    )  # fmt: skip
    scale(ax.xaxis, formats.percent)
    of_quota = against == "quota"
    ax.set_xlabel("Attainment (bookings ÷ quota)" if of_quota else "Bookings ÷ forecast (median)")
    mark = "attainment" if of_quota else "bookings"
    about = [f"Mark: {mark}; bar: P10 to P90 of an unchanged rep ({formats.percent(LEVEL)})"]
    for group, did in ((landed & (made < 1), "missed"), (landed & (made >= 1), "made it")):
        if of_quota and group.any() and (below | above).any():
            about.append(f"{(group & inside).sum()} of {group.sum()} who {did} lie inside")
    if (~landed).any() and landed.any():
        about.append(f"{(~landed).sum()} without an attainment yet")
    if len(frame) > len(rows):
        about.append(f"{len(frame) - len(rows)} without an interval left out")
    return sheet.finish(_landed(rows, landed, below, above), about="; ".join(about))


Flags = npt.NDArray[np.bool_]


def _landed(rows: pd.DataFrame, landed: Flags, below: Flags, above: Flags) -> str:
    """In words how many reps luck explains, who lies outside, and how many luck alone would put there."""
    total, outside = int(landed.sum()), int((below | above).sum())
    if not total:
        ends = (formats.percent(float(rows[key].median())) for key in ("low", "high"))
        return f"No attainment yet; luck alone puts the typical rep between {' and '.join(ends)} of quota"
    reps = number(total, "rep")
    if not outside:
        return f"{'The' if total == 1 else 'All'} {reps} landed inside the expected range"
    sides = []
    for flags, side in ((below, "below"), (above, "above")):
        named = rows["rep"][flags]
        if outside <= 4:
            sides += [f"{shortened(rep, most=24)} ({side})" for rep in named]
        elif len(named):
            sides.append(f"{len(named)} {side}")
    by_luck = formats.count(round((1 - LEVEL) * total, 1))
    return (
        f"{total - outside if total > outside else 'None'} of {reps} landed inside the expected range; "
        f"outside: {', '.join(sides)}; by chance {by_luck} would be outside"
    )


@styled()
def attainment_history(
    frame: pd.DataFrame,
    *,
    band: tuple[float, float] = (0.60, 0.75),
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """The share of reps at quota through time against the healthy band [B1]; small teams are hollow.

    Args:
        frame: columns period, share (of reps at or above quota, a fraction), low, high (its interval at
            80 %; NaN: none) and n (reps with a quota); in the order of time. A period without a share or
            without reps is left out, which the picture says.
        band: share of reps attaining that counts as healthy, both ends included.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"period": ["2026Q1", "2026Q2"], "share": [0.7, 0.58], "low": [0.6, 0.4],
    ...                       "high": [0.8, 0.75], "n": [30, 10]})
    >>> attainment_history(frame).get_label()
    'In 1 of 2 quarters the share at quota lay in 60–75 %; lately 58 % (n = 10)'
    """
    rows = known(frame, ["share", "n"])
    rows = rows[rows["n"] > 0].reset_index(drop=True)
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        return sheet.nothing("No period has quotas and bookings to compare")
    ax = sheet.ax
    share, low, high, n = (floats(rows[key]) for key in ("share", "low", "high", "n"))
    few = n < _FEW_REPS
    inside = (share >= band[0] - 1e-9) & (share <= band[1] + 1e-9)
    colours = np.where(inside, BLUE, ORANGE)
    places = np.arange(len(rows))
    ax.axhspan(*band, color=PALE, alpha=0.8, zorder=0)
    ax.plot(places, share, color=FAINT, linewidth=1.4, zorder=1)
    ax.vlines(places, low, high, color=colours, linewidth=3, alpha=0.45)
    ax.scatter(
        places, share, s=50, color=np.where(few, "white", colours), edgecolor=colours, linewidth=1.6,
        zorder=3, clip_on=False,
    )  # fmt: skip
    shown = thinned(len(rows))
    ends = np.where(np.isfinite(high), np.maximum(high, share), share)
    for place in shown:
        ax.annotate(
            formats.percent(share[place]), (place, ends[place]), (0, 7), textcoords="offset points",
            ha="center", va="bottom", size=SIZE if len(rows) <= 6 else SMALL,
            color=str(colours[place]), weight="semibold",
        )  # fmt: skip
    ax.annotate(
        f"healthy\n{to_share(band)}", (1, sum(band) / 2), (6, 0), xycoords=("axes fraction", "data"),
        textcoords="offset points", va="center", color=BLUE, weight="semibold", annotation_clip=False,
    )  # fmt: skip
    room = 360 / max(len(shown), 3)  # points
    labels = [_in_lines(rows["period"][place], width=room) for place in shown]
    ax.set_xticks(
        shown, [f"{text}\nn = {formats.count(n[place])}" for text, place in zip(labels, shown, strict=True)]
    )
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, max(len(rows), 3) - 0.4)
    ax.set_ylim(0, 1.14)
    fifths = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    ax.set_yticks(fifths, [formats.percent(each) for each in fifths])
    ax.grid(True, axis="y")
    quarterly = all(re.fullmatch(r"\d{4}Q[1-4]", str(period)) for period in rows["period"])
    periods = number(len(rows), "quarter" if quarterly else "period")
    finding = (
        f"In {inside.sum() if inside.any() else 'none'} of {periods} the share at quota lay in "
        f"{to_share(band)}; lately {formats.percent(share[-1])} (n = {formats.count(n[-1])})"
    )
    about = f"Share of reps at or above quota; bar: {formats.percent(LEVEL)} interval; n: reps"
    if few.any():
        about += f"; hollow: fewer than {_FEW_REPS} reps ({few.sum()} of {len(rows)})"
    if len(frame) > len(rows):
        about += f"; {len(frame) - len(rows)} without a share left out"
    return sheet.finish(finding, about=about)


def _in_lines(name: object, *, width: float) -> str:
    """A name of a period in short lines of about this width in points; long words are cut."""
    letters = max(7, int(width / 6.5))
    words = " ".join(shortened(word, most=letters) for word in str(name).split())
    return wrapped(shortened(words, most=2 * letters + 1), width=width, size=SIZE)


@styled()
def rule_laboratory(
    frame: pd.DataFrame,
    *,
    rule_text: str = "",
    false_alarm: float = 0.10,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """How often the rule that raises the bar fires, by luck and with reason, by team size [B3].

    Args:
        frame: columns reps (team size), improvement (true one, a fraction; 0 is a team that did not change)
            and fires (share of histories in which the rule fired within the window; NaN: not tried).
        rule_text: the rule in words, for the description.
        false_alarm: share of histories of an unchanged team in which the rule may fire.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    Raises:
        ParameterError: two rows with the same team size and improvement.

    >>> frame = pd.DataFrame({"reps": [10, 40, 10, 40], "improvement": [0.0, 0.0, 0.2, 0.2],
    ...                       "fires": [0.48, 0.08, 0.8, 0.95]})
    >>> unchanged, trusted = rule_laboratory(frame).get_label().split("; ")
    >>> unchanged
    'A team of 10 that did not change would be told to raise the bar in 48 % of histories'
    >>> trusted
    'from 40 reps on in at most 10 %'
    """
    rows = known(frame, ["reps", "improvement"])
    twice = rows[rows.duplicated(["reps", "improvement"])]
    if len(twice):
        pairs = [f"{reps:g} reps, {better:g}" for reps, better in twice[["reps", "improvement"]].to_numpy()]
        raise ParameterError(f"a team size and improvement may come once; more than once: {listed(pairs)}")
    fires = rows.pivot(index="reps", columns="improvement", values="fires")
    fires = fires.dropna(how="all").dropna(how="all", axis="columns")
    sizes, steps = floats(fires.index.to_series()), floats(fires.columns.to_series())
    sheet = Sheet.on(ax, title=title, height=max(3.1, 1.9 + 0.34 * len(sizes)))
    if fires.empty:
        return sheet.nothing("The rule has not been tried on any team")
    ax = sheet.ax
    # a gap sets apart the teams that did not change: there every alarm is false
    places = np.arange(len(steps)) + 0.18 * ((steps > 0) & (steps.min() <= 0))
    small = len(steps) > 7 or len(sizes) > 12
    for row, values in enumerate(fires.to_numpy(dtype=np.float64)):
        for place, share in zip(places, values, strict=True):
            colour = to_hex(_SCALE(share)) if np.isfinite(share) else "white"
            ax.bar(place, 1, bottom=row - 0.5, width=1, color=colour, edgecolor="white", linewidth=1.5)
            ax.text(
                place, row, _cell(share), ha="center", va="center", size=SMALL if small else SIZE,
                color=_readable_on(colour), weight="semibold",
            )  # fmt: skip
    ax.set_xlim(-0.5, places[-1] + 0.5)
    ax.set_ylim(len(sizes) - 0.5, -0.5)
    ax.set_yticks(np.arange(len(sizes)), [number(size, "rep") for size in sizes])
    ax.set_xticks(places, [_improved(step, alone=len(steps) < 7) for step in steps])
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0)
    ax.spines["bottom"].set_visible(False)
    about = "Share of histories in which the rule fires, by team size and true improvement of its reps"
    finding = _alarms(sizes, steps, fires.to_numpy(dtype=np.float64), false_alarm)
    return sheet.finish(finding, about=f"{about}; rule: {rule_text}" if rule_text else about)


def _cell(share: float) -> str:
    """A share of simulated histories; none of them proves 0 % or 100 %."""
    return (
        chance(share).replace("under ", "<").replace("over ", ">") if np.isfinite(share) else formats.MISSING
    )


def _improved(step: float, *, alone: bool) -> str:
    """Head of a column: the true improvement, or that there was none."""
    if step == 0:
        return "no change\n(false alarm)" if alone else "no change\n(false\nalarm)"
    return f"{'+' if step > 0 else '−'}{formats.percent(abs(step))}"


def _luminance(colour: str) -> float:
    """How light a colour is, 0 to 1, as WCAG 2 defines it."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def _readable_on(colour: str) -> str:
    """White where it stands out by 4.5 to 1 or more, as WCAG 2 asks of text; black does so on the rest."""
    return "white" if 1.05 / (_luminance(colour) + 0.05) >= 4.5 else "black"


def _alarms(sizes: Floats, steps: Floats, fires: Floats, false_alarm: float) -> str:
    """In words how often unchanged teams set off the rule, and which team sizes may trust it."""
    still = np.flatnonzero(steps == 0)
    if not still.size or not np.isfinite(fires[:, still[0]]).any():
        row, column = 0, int(np.flatnonzero(np.isfinite(fires[0]))[-1])
        better = formats.percent(abs(steps[column]))
        return (
            f"The rule fires in {chance(fires[row, column])} of histories of a team of "
            f"{formats.count(sizes[row])} that became {better} {'better' if steps[column] >= 0 else 'worse'}"
        )
    tried = np.isfinite(fires[:, still[0]])
    reps, alarms = sizes[tried], fires[tried, still[0]]
    worst = int(np.argmax(alarms))
    may, limit = alarms <= false_alarm + 1e-9, formats.percent(false_alarm)
    if may.all():
        few, most = formats.count(reps[0]), formats.count(reps[-1])
        team = f"A team of {few}" if few == most else f"A team of {few} to {most}"
        return (
            f"{team} that did not change would be told to raise the bar in at most "
            f"{formats.percent(alarms[worst])} of histories"
        )
    finding = (
        f"A team of {formats.count(reps[worst])} that did not change would be told to raise the bar in "
        f"{chance(alarms[worst])} of histories"
    )
    if not may.any():
        return f"{finding}; no team size shown stays below {limit}"
    last_over = int(np.flatnonzero(~may)[-1])
    if last_over == len(reps) - 1:
        return f"{finding}; only smaller teams stay below {limit}: {', '.join(map(formats.count, reps[may]))}"
    return f"{finding}; from {formats.count(reps[last_over + 1])} reps on in at most {limit}"


@styled()
def variance_split(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """How much of a rep's attainment is luck, and how much is territory, skill and market [B5].

    Args:
        frame: columns rep and any of luck, territory, skill, market: shares of the variance of attainment,
            fractions that add up to 1. A rep with a share that is not known (NaN) is left out, which the
            picture says.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which is the mean over the reps.

    Raises:
        ParameterError: shares below 0, or adding up to more than 1.

    >>> frame = pd.DataFrame({"rep": ["Ada", "Bo"], "luck": [0.8, 0.62], "skill": [0.1, 0.14],
    ...                       "territory": [0.1, 0.24]})
    >>> variance_split(frame).get_label()
    'Luck makes up 71 % of what moves attainment, territory 17 %'
    """
    sources = [source for source in _SOURCES if source in frame]
    rows = known(frame, sources) if sources else frame.head(0)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows) + 3))
    if rows.empty:
        return sheet.nothing("No rep’s attainment has been split into luck and the rest")
    shares = rows[sources].to_numpy(dtype=np.float64)
    wrong = (shares < -1e-9).any(axis=1) | (shares.sum(axis=1) > 1.005)
    if wrong.any():
        raise ParameterError(
            "shares of variance are at least 0 and add up to 1; not so for "
            + listed(list(rows["rep"][wrong]))
        )
    ax = sheet.ax
    rows = rows.sort_values(sources[0], kind="stable", ignore_index=True)
    mean = rows[sources].mean()
    shares = np.vstack([rows[sources].to_numpy(dtype=np.float64), mean.to_numpy()])
    places = np.append(np.arange(len(rows)), len(rows) + 0.6)  # the mean stands apart, on top
    starts = np.cumsum(shares, axis=1) - shares
    many = len(rows) > 12
    for column, source in enumerate(sources):
        colour = _SOURCE_COLOURS[source]
        ax.barh(places, shares[:, column], left=starts[:, column], height=0.82, color=colour,
                edgecolor="white", linewidth=0.8)  # fmt: skip
        for row, place in enumerate(places[:-1]):
            share = shares[row, column]
            if share >= 0.08:
                ax.text(
                    starts[row, column] + share / 2, place, formats.percent(share),
                    ha="center", va="center_baseline", size=8 if many else SMALL, color=_readable_on(colour),
                )  # fmt: skip
    names = [*(shortened(name) for name in rows["rep"]), f"mean of {number(len(rows), 'rep')}"]
    ax.set_yticks(places, names, size=SMALL if many else SIZE)
    ax.get_yticklabels()[-1].set(weight="semibold", color=INK)
    ax.set_xlim(0, 1)
    ax.set_ylim(-0.6, places[-1] + (2.4 if many else 1.7))
    scale(ax.xaxis, formats.percent, grid=False)
    ax.set_xlabel("Share of the variance of attainment")
    ordered = mean.sort_values(ascending=False, kind="stable")
    most = formats.percent(ordered.iloc[0])
    finding = f"{str(ordered.index[0]).capitalize()} makes up {most} of what moves attainment"
    if len(ordered) > 1:
        finding += f", {ordered.index[1]} {formats.percent(ordered.iloc[1])}"
    about = "Share of the variance of attainment, by rep"
    if len(frame) > len(rows):
        about += f"; {len(frame) - len(rows)} without a split left out"
    ax = sheet.finish(finding, about=about)
    _head_segments(ax, mean, starts[-1], float(places[-1]))
    return ax


def _head_segments(ax: Axes, mean: pd.Series, starts: Floats, top: float) -> None:
    """Name the parts of the topmost bar above it, moved apart where parts are narrow, each with a line."""
    frame, figure = ax.get_window_extent(), figure_of(ax)
    dot = figure.dpi / 72
    high = float(ax.get_ylim()[1])
    middles = starts + mean.to_numpy() / 2
    texts = [
        ax.text(
            middle,
            high,
            f"{source} {formats.percent(share)}",
            ha="center",
            va="top",
            color=INK,
            weight="semibold",
        )
        for middle, (source, share) in zip(middles, mean.items(), strict=True)
    ]
    widths = np.array([text.get_window_extent().width for text in texts]) + 8 * dot
    wanted = ax.transData.transform(np.column_stack([middles, np.full(len(texts), top)]))[:, 0]
    lefts = wanted - widths / 2
    for place in range(1, len(lefts)):  # from the left: no text over the one before
        lefts[place] = max(lefts[place], lefts[place - 1] + widths[place - 1])
    end = frame.x1 + 4 * dot
    for place in reversed(range(len(lefts))):  # from the right: none beyond the end
        lefts[place] = min(lefts[place], end - widths[place])
        end = lefts[place]
    for text, middle, left, width in zip(texts, middles, lefts, widths, strict=True):
        x, y = ax.transData.inverted().transform((left + width / 2, text.get_window_extent().y0 - 1 * dot))
        text.set_x(x)
        ax.plot([x, middle], [y, top + 0.41], color=MUTED, linewidth=0.9)

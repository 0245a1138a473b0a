"""Charts of how a team is built: what each structure books, where it is short of capacity, what qualification
is worth, and what the customers of today yield."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import (
    SIZE,
    SMALL,
    Floats,
    Line,
    Sheet,
    column_beside,
    floats,
    interval_rows,
    known,
    label_lines,
    rows_height,
    scale,
    thinned,
    wrapped,
)
from salessim.charts.style import BLUE, INK, MUTED, ORANGE, PALE, PALE_ORANGE, styled
from salessim.charts.words import chance, in_currency, money, shortened
from salessim.intervals import LEVEL

__all__ = ["qualification_value", "recurring_revenue", "structure_bookings", "structure_bottlenecks"]

_NAME_WIDTH = 150  # points that a name takes beside its row
_BESIDE = (14.0, 58.0, 108.0)  # points to the right of the axes, of the three columns there
_LOST_IS_MUCH = 0.01  # share of leads lost from which a role is called short
_HEADS_AT = -1.0  # where the heads of the columns stand, above the first structure
# heights of a role's row, of the name above a structure's roles, and of the gap below them
_ROW, _HEAD, _GAP = 1.0, 1.15, 0.35


@styled()
def structure_bookings(
    frame: pd.DataFrame,
    *,
    currency: str,
    chance_ahead: float = math.nan,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What each structure books on the same demand, in good and bad luck [D2].

    Args:
        frame: columns structure, bookings_mean, bookings_p10, bookings_p90 and bookings_per_head (NaN: not
            known), as in the table of :func:`salessim.studies.compare_structures`. A structure without the
            three amounts is left out, which the picture says.
        currency: ISO code of the bookings.
        chance_ahead: chance that the best structure books more than the next; NaN: not known.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which compares the best structure with the next.

    >>> frame = pd.DataFrame({"structure": ["Act 1, generalists", "Act 2, specialists"],
    ...                       "bookings_p10": [4e6, 5e6], "bookings_mean": [5e6, 6e6],
    ...                       "bookings_p90": [6e6, 7e6], "bookings_per_head": [5e5, 6e5]})
    >>> structure_bookings(frame, currency="EUR", chance_ahead=0.9).get_label()
    'Act 2 books most: EUR 6.00m expected, 20 % more than Act 1, and is ahead of it in 90 % of cases'
    """
    rows = known(frame, ["bookings_p10", "bookings_mean", "bookings_p90"])
    rows = rows.sort_values("bookings_mean", kind="stable", ignore_index=True)  # the best on top
    few = len(rows) <= 12
    names = [_in_lines(str(name)) for name in rows["structure"]]
    tallest = max((name.count("\n") + 1 for name in names), default=1)
    each = max(0.5, 0.14 + 0.22 * tallest) if few else None
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows), each=each))
    if rows.empty:
        return sheet.nothing("No structure has been simulated")
    ax = sheet.ax
    low, mean, high = (floats(rows[f"bookings_{key}"]) for key in ("p10", "mean", "p90"))
    colours = np.where(np.arange(len(rows)) == len(rows) - 1, BLUE, MUTED)
    interval_rows(ax, rows["structure"], low, mean, high, colours=colours)
    if few:
        ax.set_yticks(np.arange(len(rows)), names, size=SIZE)
    looks = [(str(colour), "semibold") for colour in colours]
    column_beside(ax, [money(amount, "") for amount in mean], right=8, looks=looks, head="expected")
    per_head = [money(amount, "") for amount in floats(rows["bookings_per_head"])]
    column_beside(ax, per_head, right=70, looks=[(MUTED, "normal")] * len(rows), head="per head")
    least, most = float(low.min()), float(high.max())
    room = 0.06 * (most - least) or 0.05 * abs(most) or 1.0
    ax.set_xlim(least - room, most + room)
    scale(ax.xaxis, lambda amount: money(amount, ""), most=5 if tallest <= 2 else 4)
    ax.set_xlabel(f"Bookings of the team{in_currency(currency)}")
    short = brief_names(list(rows["structure"]))
    amount = money(float(mean[-1]), currency)
    if len(rows) == 1:
        finding = (
            f"{short[0]} books {money(float(low[0]), currency)} to {money(float(high[0]), currency)} with "
            f"probability {formats.percent(LEVEL)}; {amount} are expected"
        )
    else:
        # 80 % ranges: below 9 of 10 cases the range of the difference holds 0
        most_surely = "books most" if not chance_ahead < 0.9 else "probably books most"
        finding = f"{short[-1]} {most_surely}: {amount} expected"
        if mean[-2] > 0:
            finding += f", {formats.percent(mean[-1] / mean[-2] - 1)} more than {short[-2]}"
        if math.isfinite(chance_ahead):
            finding += (
                f", and is ahead of {'it' if mean[-2] > 0 else short[-2]} in {chance(chance_ahead)} of cases"
            )
    left_out = len(frame) - len(rows)
    about = "Dot: mean; bar: P10 to P90" + (f"; {left_out} without bookings left out" if left_out else "")
    return sheet.finish(finding, about=about)


@styled()
def structure_bottlenecks(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """How much of its capacity each role of each structure has in use, and where leads are lost [A6].

    Args:
        frame: columns structure, desk (role, and what it works on), people, used (share of the limit in use;
            NaN: the role has none), waiting (mean number of leads that wait) and lost_share (share of the
            leads that came there and were lost; NaN: none came). Structures in the order of the frame.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which names the two structures' roles that lose most of their leads.

    >>> frame = pd.DataFrame({"structure": ["Act 1", "Act 2", "Act 2"], "desk": ["generalist", "SDR", "AE"],
    ...                       "people": [6.0, 2.0, 4.0], "used": [0.97, 0.99, 0.8],
    ...                       "waiting": [30.0, 12.0, 0.2], "lost_share": [0.25, 0.1, 0.0]})
    >>> structure_bottlenecks(frame).get_label()
    'Capacity is short at the generalist of Act 1 (25 % of leads lost) and the SDR of Act 2 (10 %)'
    """
    frame = frame.assign(structure=frame["structure"].astype(str))
    sheet = Sheet.on(ax, title=title, height=_bottleneck_height(frame))
    if frame.empty:
        return sheet.nothing("No role has been simulated week by week")
    ax = sheet.ax
    structures = list(dict.fromkeys(frame["structure"]))
    shortest_desks = _shortest_desks(frame)
    named = {(name, desk) for name, desk, _ in shortest_desks}
    for right, head in zip(_BESIDE, ("people", "waiting", "leads lost"), strict=True):
        _write(ax, head, (1, _HEADS_AT), right=right, size=SMALL)
    place, ticks, texts = 0.0, [], []
    for name in structures:
        _write(ax, shortened(name, most=60), (0, place), right=0.0, colour=INK, weight="semibold")
        place += _HEAD
        for row in frame[frame["structure"] == name].to_dict("records"):
            ticks.append(place)
            texts.append(shortened(row["desk"], most=34))
            used, limited = float(row["used"]), bool(np.isfinite(row["used"]))
            shortest = (name, row["desk"]) in named
            colour, weight = (ORANGE, "semibold") if shortest else (MUTED, "normal")
            end = min(used, 1.0) if limited else 0.0
            ax.barh(place, end, height=0.66, color=ORANGE if shortest else BLUE)
            ax.annotate(
                formats.percent(used) if limited else "no limit", (end, place), (4, 0),
                textcoords="offset points", va="center_baseline", size=SIZE, weight="semibold",
                color=ORANGE if shortest else BLUE,
            )  # fmt: skip
            _write(ax, formats.count(round(float(row["people"]), 1)), (1, place), right=_BESIDE[0])
            _write(ax, formats.count(round(float(row["waiting"]))), (1, place), right=_BESIDE[1])
            lost = formats.percent(float(row["lost_share"]))
            _write(ax, lost, (1, place), right=_BESIDE[2], colour=colour, weight=weight)
            place += _ROW
        place += _GAP
    ax.set_yticks(ticks, texts, size=SIZE)
    ax.set_ylim(place, _HEADS_AT - 0.6)
    ax.set_xlim(0, 1.16)
    scale(ax.xaxis, formats.percent)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
    ax.set_xlabel("Share of capacity in use")
    about = "Means over all weeks; seats that stand empty count as capacity not in use"
    return sheet.finish(_shortest_capacity(shortest_desks, structures), about=about)


@styled()
def qualification_value(
    frame: pd.DataFrame, *, currency: str, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """What qualifying leads is worth at several capacities: much at few hours, nothing at many [A6].

    Args:
        frame: columns capacity_factor (relative to today's; infinite: no limit), and bookings_with and
            bookings_without (means), each also with _p10 and _p90, as from
            :func:`salessim.studies.value_of_qualification`.
        currency: ISO code of the bookings.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which says what the step is worth today and at which capacity it stops
            paying.

    >>> mean = pd.DataFrame({"capacity_factor": [1.0, 2.0, 4.0], "bookings_with": [5e6, 6e6, 6e6],
    ...                      "bookings_without": [4e6, 6e6, 7e6]})
    >>> frame = mean.assign(**{f"{key}_{end}": mean[key] for key in ("bookings_with", "bookings_without")
    ...                        for end in ("p10", "p90")})
    >>> qualification_value(frame, currency="EUR").get_label()
    'Qualification brings EUR 1.00m at today’s capacity; from about 2 × that, chasing every lead books more'
    """
    keys = [f"bookings_{case}{end}" for case in ("with", "without") for end in ("", "_p10", "_p90")]
    rows = known(frame, keys)
    rows = rows[rows["capacity_factor"] > 0].sort_values("capacity_factor", ignore_index=True)
    sheet = Sheet.on(ax, title=title, height=4.3)
    if rows.empty:
        return sheet.nothing("No capacity has been tried")
    ax = sheet.ax
    factor = floats(rows["capacity_factor"])
    limited = np.isfinite(factor)
    # without a limit stands apart, to the right of the largest one
    largest = float(factor[limited].max()) if limited.any() else 1.0
    place = np.log2(np.where(limited, factor, 2.0 * largest))
    lines: list[Line] = []
    for case, label, colour, pale in (
        ("with", "with qualification", BLUE, PALE),
        ("without", "every lead is chased", ORANGE, PALE_ORANGE),
    ):
        mean, low, high = (floats(rows[f"bookings_{case}{end}"]) for end in ("", "_p10", "_p90"))
        ax.fill_between(place[limited], low[limited], high[limited], color=pale, alpha=0.75)
        ax.plot(place[limited], mean[limited], color=colour, marker="o", markersize=5)
        ax.plot(place[-2:], mean[-2:], color=colour, linestyle=(0, (1, 2)), linewidth=1.4)
        ax.scatter(place[~limited], mean[~limited], s=30, color=colour, zorder=3)
        ax.vlines(place[~limited], low[~limited], high[~limited], color=pale, linewidth=9, zorder=1)
        lines.append((place, mean, label, colour))
    ax.set_xticks(place, [f"{value:g} ×" if np.isfinite(value) else "no limit" for value in factor])
    ax.set_xlim(place[0] - 0.15, place[-1] + 0.35)
    ax.set_xlabel("Capacity of each person, relative to today’s")
    highest = max(float(rows[f"bookings_{case}_p90"].max()) for case in ("with", "without"))
    ax.set_ylim(0, highest * 1.12 or 1.0)
    scale(ax.yaxis, lambda amount: money(amount, ""), most=5)
    if factor[0] <= 1 <= largest:
        ax.axvline(0.0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        ax.annotate("today", (0.0, 1), (5, -8), xycoords=("data", "axes fraction"),
                    textcoords="offset points", va="center", color=MUTED, weight="semibold")  # fmt: skip
    gain = floats(rows["bookings_with"]) - floats(rows["bookings_without"])
    finding = _worth(factor, gain, currency)
    ax = sheet.finish(finding, about=f"Bookings of the team{in_currency(currency)}; shaded: P10 to P90")
    label_lines(ax, lines, avoid=[(np.zeros(2), np.array(ax.get_ylim()))])
    return ax


def _worth(factor: Floats, gain: Floats, currency: str) -> str:
    """In words what the step is worth today, and from which capacity on it is worth nothing."""
    today = int(np.argmin(np.abs(np.log2(np.where(np.isfinite(factor), factor, 1e9)))))
    now = "today’s capacity" if factor[today] == 1 else f"{factor[today]:g} × today’s capacity"
    value = money(abs(float(gain[today])), currency)
    finding = f"Qualification {'brings' if gain[today] >= 0 else 'costs'} {value} at {now}"
    later = [k for k in range(today + 1, len(factor)) if gain[k] <= 0]
    if gain[today] <= 0:
        return finding
    if not later:
        return f"{finding}, and pays at every capacity shown"
    after, before = later[0], later[0] - 1
    if not np.isfinite(factor[after]):
        return f"{finding}, and nothing where there is no limit"
    part = gain[before] / (gain[before] - gain[after])
    place = float(np.exp(np.interp(part, [0, 1], np.log([factor[before], factor[after]]))))
    return f"{finding}; from about {place:.2g} × that, chasing every lead books more"


@styled()
def recurring_revenue(
    frame: pd.DataFrame, *, currency: str, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """Annual recurring revenue by quarter, with the customers who leave, and had nobody left [H1, H2].

    Args:
        frame: columns quarter, and with_churn and without_churn (means at its end), each also with _p10 and
            _p90; the first row may be today.
        currency: ISO code of the revenue.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which says what churn costs by the last quarter.

    >>> mean = pd.DataFrame({"quarter": ["today", "2027Q1"], "with_churn": [2e6, 2.1e6],
    ...                      "without_churn": [2e6, 2.2e6]})
    >>> frame = mean.assign(**{f"{key}_{end}": mean[key] for key in ("with_churn", "without_churn")
    ...                        for end in ("p10", "p90")})
    >>> recurring_revenue(frame, currency="EUR").get_label()
    'Churn costs EUR 100k of recurring revenue by 2027Q1: EUR 2.10m a year instead of EUR 2.20m'
    """
    keys = [f"{case}{end}" for case in ("with_churn", "without_churn") for end in ("", "_p10", "_p90")]
    rows = known(frame, keys)
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        return sheet.nothing("No recurring revenue has been simulated")
    ax = sheet.ax
    place = np.arange(len(rows), dtype=np.float64)
    lines: list[Line] = []
    ends: list[float] = []
    for case, label, colour, pale in (
        ("without_churn", "had nobody left", BLUE, PALE),
        ("with_churn", "with churn", ORANGE, PALE_ORANGE),
    ):
        mean, low, high = (floats(rows[f"{case}{end}"]) for end in ("", "_p10", "_p90"))
        ax.fill_between(place, low, high, color=pale, alpha=0.75)
        ax.plot(place, mean, color=colour, marker="o", markersize=5)
        lines.append((place, mean, label, colour))
        ends += [float(low.min()), float(high.max())]
    least, most = min(ends), max(ends)
    room = 0.12 * (most - least) or 0.05 * most or 1.0
    ax.set_ylim(max(0.0, least - room), most + room)
    reaches = [float(mean[-1]) for _, mean, *_ in lines]
    apart = abs(reaches[0] - reaches[1]) > 0.06 * (most - least + 2 * room)  # a line of text
    for reach, (*_, colour) in zip(reaches if apart else reaches[:1], lines, strict=False):
        ax.annotate(money(reach, ""), (place[-1], reach), (9, 0), textcoords="offset points", va="center",
                    size=SIZE, color=colour, weight="semibold", annotation_clip=False)  # fmt: skip
    shown = thinned(len(rows))
    ax.set_xticks(shown, [str(rows["quarter"][k]) for k in shown])
    ax.set_xlim(-0.3, max(len(rows) - 1, 1) + 0.55)
    scale(ax.yaxis, lambda amount: money(amount, ""), most=5)
    last = rows.iloc[-1]
    cost = float(last["without_churn"] - last["with_churn"])
    reached = money(float(last["with_churn"]), currency)
    if abs(cost) < 0.0005 * abs(float(last["without_churn"])):
        finding = f"No recurring revenue is lost to churn by {last['quarter']}: {reached} a year"
    else:
        finding = (
            f"Churn costs {money(cost, currency)} of recurring revenue by {last['quarter']}: {reached} a "
            f"year instead of {money(float(last['without_churn']), currency)}"
        )
    about = f"Annual recurring revenue at the end of each quarter{in_currency(currency)}; shaded: P10 to P90"
    ax = sheet.finish(finding, about=about)
    label_lines(ax, lines)
    return ax


def brief_names(names: Sequence[str]) -> list[str]:
    """Names for a sentence: what stands before the comma, where that still tells them apart.

    >>> brief_names(["Act 1, generalists", "Act 2, specialists"]), brief_names(["a, b", "a, c"])
    (['Act 1', 'Act 2'], ['a, b', 'a, c'])
    """
    heads = [name.split(",")[0].strip() for name in names]
    chosen = heads if len(set(heads)) == len(set(names)) and all(heads) else names
    return [shortened(name, most=40) for name in chosen]


def _in_lines(name: str) -> str:
    """A name beside its row, in lines; where a word is longer than a line, cut to one."""
    longest = max((len(word) for word in name.split()), default=0)
    return wrapped(shortened(name, most=60 if longest <= 24 else 30), width=_NAME_WIDTH, size=SIZE)


def _write(
    ax: Axes,
    text: str,
    at: tuple[float, float],
    *,
    right: float,
    colour: str = MUTED,
    weight: str = "normal",
    size: float = SIZE,
) -> None:
    """A text so many points to the right of a place: share of the width, and row."""
    ax.annotate(text, at, (right, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                va="center_baseline", size=size, color=colour, weight=weight,
                annotation_clip=False)  # fmt: skip


def _bottleneck_height(frame: pd.DataFrame) -> float:
    return max(2.6, 1.7 + 0.3 * len(frame) + 0.45 * frame["structure"].nunique())


def _shortest_desks(frame: pd.DataFrame) -> list[tuple[str, str, float]]:
    """The desk of each structure that loses most of its leads, where that is one in a hundred or more."""
    found = []
    for name, rows in known(frame, ["used", "lost_share"]).groupby("structure", sort=False):
        worst = rows.iloc[int(rows["lost_share"].argmax())]
        if worst["lost_share"] >= _LOST_IS_MUCH:
            found.append((str(name), str(worst["desk"]), float(worst["lost_share"])))
    return found


def _shortest_capacity(desks: list[tuple[str, str, float]], structures: list[str]) -> str:
    """In words where leads are lost."""
    if not desks:
        return "No role is short of capacity: hardly a lead is lost"
    short = dict(zip(structures, brief_names(structures), strict=True))
    worst = sorted(desks, key=lambda desk: -desk[2])[:2]  # the others can be seen
    what = (" of leads lost", "")  # said once
    parts = [
        f"the {shortened(desk)} of {short[name]} ({formats.percent(share)}{what[k]})"
        for k, (name, desk, share) in enumerate(worst)
    ]
    return f"Capacity is {'short' if len(desks) <= 2 else 'shortest'} at {' and '.join(parts)}"

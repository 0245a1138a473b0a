"""Charts of what a sales year needs: leads by month, bookings under a limit, hires, and the levers."""

from __future__ import annotations

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
    headroom,
    interval_rows,
    known,
    label_lines,
    rows_height,
    scale,
    thinned,
)
from salessim.charts.style import BLUE, INK, MUTED, ORANGE, SKY, styled
from salessim.charts.words import chance, in_currency, money, number, shortened

__all__ = [
    "bookings_under_limit",
    "capacity_in_use",
    "leads_needed",
    "lever_spread",
    "lever_tornado",
    "needed_and_there",
]

#: A limit that costs less than this part of the bookings costs next to nothing.
_NEXT_TO_NOTHING = 0.01


@styled()
def leads_needed(
    frame: pd.DataFrame,
    *,
    chance_wanted: float = 0.80,
    what: str = "leads",
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Leads by month: today, as a spreadsheet has it, and for a wanted chance of the plan [A8].

    Args:
        frame: columns month ("2026-07"), now, closed_form, simulated (number of leads; NaN: no number of
            leads gives the chance).
        chance_wanted: the chance, as a fraction.
        what: what comes in, in the plural: "leads", "new opportunities".
        ax: where to draw; None makes a figure.
        title: replaces the finding, which sets what is needed against today.

    >>> frame = pd.DataFrame({"month": ["2026-07", "2026-08"], "now": [40.0, 33.0],
    ...                       "closed_form": [38.0, 30.0], "simulated": [44.0, 36.3]})
    >>> leads_needed(frame).get_label()
    'An 80 % chance of the plan takes 80 leads, 10 % more than the 73 of today'
    """
    rows = known(frame, ["now", "closed_form"])
    sheet = Sheet.on(ax, title=title)
    if rows.empty or rows["now"].sum() <= 0:
        return sheet.nothing("No leads can be planned: there is no target, or no source of leads")
    ax = sheet.ax
    at = np.arange(len(rows), dtype=np.float64)
    now, spreadsheet, wanted = (floats(rows[key]) for key in ("now", "closed_form", "simulated"))
    reachable = bool(np.isfinite(wanted).all())
    share = formats.percent(chance_wanted)
    drawn = [(now, "today", MUTED, ":"), (spreadsheet, "spreadsheet", ORANGE, "--")]
    if reachable:
        drawn.append((wanted, f"for {share}", BLUE, "-"))
    lines: list[Line] = []
    for values, text, colour, dashes in drawn:
        ax.plot(at, values, color=colour, linestyle=dashes, marker="o", markersize=4.5)
        lines.append((at, values, text, colour))
    ax.set_xlim(-0.4, max(len(rows), 2) - 0.6)
    ax.set_ylim(0, max(float(np.nanmax([now, spreadsheet, wanted if reachable else now])) * 1.25, 1.0))
    shown = thinned(len(rows))
    ax.set_xticks(shown, [str(rows["month"][place]) for place in shown])
    scale(ax.yaxis, formats.count, most=5)
    today, planned = _rounded(now.sum()), _rounded(spreadsheet.sum())
    if reachable:
        needed, change = _rounded(wanted.sum()), float(wanted.sum() / now.sum() - 1)
        by = f"{formats.percent(abs(change))} {'more' if change >= 0 else 'fewer'} than"
        by = "as many as" if abs(change) < 0.005 else by
        finding = (
            f"{_article(share)} {share} chance of the plan takes {needed} {what}, {by} the {today} of today"
        )
    else:
        finding = (
            f"No number of {what} gives {_article(share).lower()} {share} chance of the plan; the "
            f"spreadsheet asks for {planned}"
        )
    ax = sheet.finish(
        finding,
        about=f"{what[:1].upper()}{what[1:]} by month (of four or five weeks), from the sources that move",
    )
    if len(rows) > 1:
        label_lines(ax, lines)
    return ax


def _rounded(value: float) -> str:
    return formats.count(round(float(value)))


def _article(percentage: str) -> str:
    """The article of a percentage that begins a sentence: an 8 %, 11 %, 18 %, 80 %."""
    digits = percentage.split(" ")[0]
    return "An" if digits.startswith("8") or digits in ("11", "18") else "A"


@styled()
def bookings_under_limit(
    frame: pd.DataFrame,
    *,
    marked: int = 0,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Bookings of the team under several limits on open deals per rep, against no limit [A6].

    Args:
        frame: columns limit (open deals per rep; NaN: no limit), expected, p10, p90 (bookings) and leads_lost
            (mean number); optional: trials (simulated horizons).
        marked: the limit that is asked about; 0: none.
        currency: ISO code of the bookings.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which names what the marked limit costs, or the tightest one that costs
            next to nothing.

    >>> frame = pd.DataFrame({"limit": [5, 9, float("nan")], "expected": [4.5e6, 5.28e6, 5.3e6],
    ...                       "p10": [4e6, 4.5e6, 4.5e6], "p90": [5e6, 6e6, 6e6], "leads_lost": [65, 3, 0]})
    >>> bookings_under_limit(frame, currency="EUR").get_label()
    'At most 5 open deals per rep cost EUR 800k (15 %) of bookings; 9 cost next to nothing'
    """
    rows = known(frame, ["expected", "p10", "p90"])
    limited = rows[rows["limit"].notna()].sort_values("limit", ignore_index=True)
    free = rows[rows["limit"].isna()].reset_index(drop=True)
    sheet = Sheet.on(ax, title=title)
    if limited.empty or free.empty or float(free["expected"].iloc[0]) <= 0:
        return sheet.nothing("No limit on open deals has been tried")
    ax = sheet.ax
    rows = pd.concat([limited, free.head(1)], ignore_index=True)
    middle, low, high = (floats(rows[key]) for key in ("expected", "p10", "p90"))
    at, without = np.arange(len(rows)), float(middle[-1])
    limits = [int(limit) for limit in limited["limit"]]
    asked = limits.index(marked) if marked in limits else -1
    colours = [ORANGE if place == asked else BLUE if place < len(limits) else MUTED for place in at]
    ax.axhline(without, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    ax.vlines(at, low, high, color=colours, linewidth=9, alpha=0.3)
    ax.scatter(at, middle, s=48, color=colours, zorder=3)
    few = len(rows) <= 7
    for place in at:
        lost = float(rows["leads_lost"][place])
        text = money(middle[place], "")
        if place < len(limits):
            text += f"\n{_rounded(lost)} lost"
        ax.annotate(
            text, (place, high[place]), (0, 5), textcoords="offset points", ha="center", va="bottom",
            size=SIZE if few else SMALL, color=colours[place], weight="semibold", linespacing=1.2,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
    ax.set_xticks(at, [*(str(limit) for limit in limits), "no limit"])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(rows) - 0.4)
    ax.set_ylim(0, headroom(high, np.full(len(rows), 2), floor=0.0))
    scale(ax.yaxis, lambda amount: money(amount, ""), most=4)
    ax.set_xlabel("Most open deals per rep")
    costs = 1 - middle[:-1] / without
    enough = [limit for limit, cost in zip(limits, costs, strict=True) if cost < _NEXT_TO_NOTHING]
    # the one that is asked about, or the loosest that costs something
    dear = [place for place in range(len(limits)) if costs[place] >= _NEXT_TO_NOTHING]
    told = asked if asked >= 0 else (_nearest(costs, dear) if dear else -1)
    if told < 0:
        finding = f"Even at most {number(limits[0], 'open deal')} per rep cost next to nothing"
    elif costs[told] < _NEXT_TO_NOTHING:
        finding = f"At most {number(limits[told], 'open deal')} per rep cost next to nothing"
    else:
        verb = "costs" if limits[told] == 1 else "cost"
        finding = (
            f"At most {number(limits[told], 'open deal')} per rep {verb} "
            f"{money(without - float(middle[told]), currency)} ({formats.percent(costs[told])}) of bookings"
        )
        if enough:
            finding += f"; {enough[0]} cost next to nothing"
    about = f"Expected bookings{in_currency(currency)}; bar: P10 to P90; lost: leads there was no room for"
    if "trials" in rows:
        about += f"; n = {formats.count(float(rows['trials'].iloc[0]))} simulated horizons each"
    return sheet.finish(finding, about=about)


def _nearest(costs: Floats, places: Sequence[int]) -> int:
    """Of the limits that cost something, the one whose cost is nearest to a tenth: dear, but thinkable."""
    return min(places, key=lambda place: abs(float(costs[place]) - 0.1))


@styled()
def capacity_in_use(
    frame: pd.DataFrame,
    *,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """How much of their limit the reps use, the busiest on top [A6].

    Args:
        frame: columns rep, used (mean share of the limit), p10, p90 and leads_lost (mean number). Over 100 %:
            more deals were open when the limit began than it allows.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which counts who works close to the limit.

    >>> frame = pd.DataFrame({"rep": ["Ada", "Bo"], "used": [0.97, 0.6], "p10": [0.9, 0.5],
    ...                       "p90": [1.0, 0.7], "leads_lost": [13.0, 0.2]})
    >>> capacity_in_use(frame).get_label()
    '1 of 2 reps uses more than 90 % of the limit; 13 leads are lost for want of capacity'
    """
    rows = known(frame, ["used", "p10", "p90"]).sort_values("used", kind="stable", ignore_index=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows)))
    if rows.empty:
        return sheet.nothing("No rep has a limit, so there is no capacity to be in use")
    ax = sheet.ax
    used, low, high = (floats(rows[key]) for key in ("used", "p10", "p90"))
    full = used > _FULL
    ax.axvline(1.0, color=INK, linewidth=1)
    interval_rows(ax, rows["rep"], low, used, high, colours=np.where(full, ORANGE, BLUE))
    looks = [(ORANGE if each else BLUE, "semibold") for each in full]
    column_beside(ax, [formats.percent(share) for share in used], right=8, looks=looks, head="in use")
    lost = [_rounded(each) for each in rows["leads_lost"]]
    column_beside(ax, lost, right=62, looks=[(MUTED, "normal")] * len(rows), head="leads lost")
    ax.annotate(
        "limit", (1.0, len(rows) + 0.15), (-5, 0), textcoords="offset points", ha="right",
        va="center_baseline", weight="semibold",
    )  # fmt: skip
    ax.set_xlim(0, max(1.12, float(high.max()) * 1.04))
    scale(ax.xaxis, formats.percent)
    together = f"{_rounded(rows['leads_lost'].sum())} leads are lost for want of capacity"
    many = int(full.sum())
    reps = number(len(rows), "rep")
    finding = (
        f"{'None' if not many else formats.count(many)} of {reps} use{'s' if many < 2 else ''} more than "
        f"{formats.percent(_FULL)} of the limit; {together}"
    )
    about = "Share of the limit in use; dot: mean; bar: P10 to P90"
    if used[-1] > 1:
        about += "; above 100 %: deals held when the year begins, or moved to costlier stages, are kept"
    return sheet.finish(finding, about=about)


#: From this share of the limit in use on a rep counts as full.
_FULL = 0.90


@styled()
def needed_and_there(
    frame: pd.DataFrame,
    *,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What each quarter needs against what it has, without and with the hires of the plan [C3].

    Args:
        frame: columns quarter, needed, without_hires, with_hires (expected bookings; NaN in needed: nothing
            is asked of the quarter) and missing (with the hires).
        currency: ISO code of the amounts.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"quarter": ["2026Q3", "2026Q4"], "needed": [1e6, 1.2e6],
    ...                       "without_hires": [1.1e6, 1.0e6], "with_hires": [1.1e6, 1.25e6],
    ...                       "missing": [0.0, 0.0]})
    >>> needed_and_there(frame, currency="EUR").get_label()
    'Hires close the gap of EUR 200k in 2026Q4'
    """
    rows = known(frame, ["needed", "without_hires", "with_hires"])
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        return sheet.nothing("Nothing is asked of the quarters: there is no target")
    ax = sheet.ax
    at = np.arange(len(rows))
    needed, without, there = (floats(rows[key]) for key in ("needed", "without_hires", "with_hires"))
    missing = floats(rows["missing"])
    ax.bar(at, np.minimum(without, there), width=0.62, color=SKY)
    gained = np.maximum(there - without, 0.0)
    ax.bar(at, gained, bottom=without, width=0.62, color=BLUE)
    ax.hlines(needed, at - 0.4, at + 0.4, color=INK, linewidth=2, zorder=3)
    tops = np.maximum(needed, np.maximum(without, there))
    few = len(rows) <= 5
    for place in at:
        short = missing[place] > 0
        text = f"{money(missing[place], '')}{' ' if few else chr(10)}missing" if short else "enough"
        ax.annotate(
            text, (place, tops[place]), (0, 5), textcoords="offset points", ha="center", va="bottom",
            color=ORANGE if short else BLUE, weight="semibold", size=SIZE if few else SMALL, linespacing=1.2,
        )  # fmt: skip
        if not few:  # no room for more
            continue
        more = f"\n+ {money(gained[place], '')} hires" if gained[place] > 0.005 * tops[place] else ""
        inside = f"there {money(without[place], '')}{more}"
        for label, up in ((f"needed {money(needed[place], '')}", 6), (inside, 22)):
            ax.annotate(
                label, (place, 0), (0, up), textcoords="offset points", ha="center", va="bottom", size=SMALL,
                linespacing=1.2,
            )  # fmt: skip
    ax.set_xticks(at, [str(quarter) for quarter in rows["quarter"]])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.7, max(len(rows), 3) - 0.3)
    ax.set_ylim(0, headroom(tops, np.full(len(rows), 1 if few else 2), floor=0.0))
    ax.yaxis.set_visible(False)
    before = np.maximum(needed - without, 0.0)
    before = np.where(before > 1e-3 * needed, before, 0.0)
    quarters = rows["quarter"].astype(str)
    left = " and ".join(
        f"{money(float(missing[place]), currency)} in {quarters[place]}" for place in at if missing[place] > 0
    )
    if not before.any():
        finding = "Every quarter is expected to bring what the plan needs; nobody has to be hired"
    elif left:
        helped = f"Hires bring {money(float(gained.sum()), currency)}; " if gained.sum() > 0 else ""
        finding = f"{helped}{left} stay{'s' if (missing > 0).sum() == 1 else ''} missing"
        finding = finding if helped else f"{finding}, and hires cannot close it"
    else:
        named = ", ".join(quarters[place] for place in at if before[place] > 0)
        finding = f"Hires close the gap of {money(float(before.sum()), currency)} in {named}"
    about = (
        f"Expected bookings{in_currency(currency)}: without hires (light), with hires (dark), needed (line)"
    )
    return sheet.finish(finding, about=about)


@styled()
def lever_tornado(
    frame: pd.DataFrame,
    *,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What the same change of each lever does to the expected bookings of the year, the largest on top.

    Args:
        frame: columns name, change (relative, to either side), bookings_low, bookings_base, bookings_high
            (with less and more of the lever), chance_low and chance_high (of the plan; NaN: no plan);
            optional: swing and swing_high, upper end of its 80 % interval from sampling error.
        currency: ISO code of the bookings.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which names the largest lever.

    >>> frame = pd.DataFrame({"name": ["leads", "sales cycle"], "change": [0.1, 0.1],
    ...                       "bookings_low": [4.8e6, 5.25e6], "bookings_base": [5.3e6, 5.3e6],
    ...                       "bookings_high": [5.8e6, 5.36e6], "chance_low": [0.4, 0.6],
    ...                       "chance_high": [0.9, 0.7]})
    >>> lever_tornado(frame, currency="EUR").get_label()
    'Leads move the plan most: 10 % worse or better means EUR 4.80m or EUR 5.80m of bookings'
    """
    rows = known(frame, ["bookings_low", "bookings_base", "bookings_high"])
    swing = (floats(rows["bookings_high"]) - floats(rows["bookings_low"])) if len(rows) else np.zeros(0)
    rows = rows.iloc[np.argsort(np.abs(swing), kind="stable")].reset_index(drop=True)  # the largest on top
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows), each=0.34))
    if rows.empty:
        return sheet.nothing("No lever moves the bookings")
    ax = sheet.ax
    low, base, high = (floats(rows[key]) for key in ("bookings_low", "bookings_base", "bookings_high"))
    at = np.arange(len(rows))
    worse, better = np.minimum(low, high), np.maximum(low, high)
    ax.barh(at, worse - base, left=base, height=0.6, color=ORANGE, alpha=0.85)
    ax.barh(at, better - base, left=base, height=0.6, color=BLUE)
    if "swing_high" in rows:  # sampling error, half of it at each end
        error = (floats(rows["swing_high"]) - floats(rows["swing"])) / 2
        for end in (low, high):
            ax.hlines(at, end - error, end + error, color=INK, linewidth=1)
    ax.vlines(base[-1], -0.6, len(rows) - 0.4, color=INK, linewidth=1)
    ends = np.concatenate([low, high])
    reach = max(float(np.abs(ends - base[-1]).max()), 1e-9)
    # long names leave the labels at the ends of the bars less room
    room = (1.9 if max(len(str(name)) for name in rows["name"]) > 36 else 1.45) * reach
    ax.set_xlim(base[-1] - room, base[-1] + room)
    for place in at:
        for value, below in ((worse[place], True), (better[place], False)):
            left = value < base[place] or (value == base[place] and below)
            ax.annotate(
                money(value, ""), (value, place), (-5 if left else 5, 0), textcoords="offset points",
                ha="right" if left else "left", va="center", size=SMALL, color=ORANGE if below else BLUE,
                weight="semibold",
            )  # fmt: skip
    ax.set_yticks(at, [shortened(name, most=42) for name in rows["name"]])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.6, len(rows) + 0.35)
    chances = known(rows, ["chance_low", "chance_high"]) if "chance_low" in rows else rows.head(0)
    if len(chances) == len(rows):
        texts = [
            f"{_end(least)}–{chance(most)}"
            for least, most in np.sort(chances[["chance_low", "chance_high"]].to_numpy(np.float64), axis=1)
        ]
        column_beside(ax, texts, right=8, looks=[(MUTED, "normal")] * len(rows), head="chance of plan")
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)
    ax.text(base[-1], len(rows) + 0.15, f"as it is: {money(float(base[-1]), currency)}", ha="center",
            va="center_baseline", weight="semibold", size=SMALL)  # fmt: skip
    top = rows.iloc[-1]
    name = str(top["name"])
    plural = "" if name.endswith("leads") else "s"
    change = formats.percent(float(top["change"]))
    finding = (
        f"{name[:1].upper()}{name[1:]} move{plural} the plan most: {change} worse or better means "
        f"{money(float(worse[-1]), currency)} or {money(float(better[-1]), currency)} of bookings"
    )
    about = (
        f"Expected bookings{in_currency(currency)} with one lever {change} worse (orange) or better (blue)"
    )
    return sheet.finish(finding, about=about)


def _end(probability: float) -> str:
    """The lower end of a span of chances."""
    return chance(probability).removesuffix(" %") if 0.01 <= probability <= 0.99 else chance(probability)


@styled()
def lever_spread(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Which lever the spread of the bookings comes from, when all are in doubt at once (Sobol indices).

    Args:
        frame: columns name, first_order (share of the variance that comes from the lever alone), total (with
            all that it does together with others), total_low, total_high (80 % interval) and samples;
            optional: enough (False: too few base points for a finding, which the title then says).
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"name": ["leads", "ramp"], "first_order": [0.6, 0.1], "total": [0.65, 0.15],
    ...                       "total_low": [0.55, 0.1], "total_high": [0.75, 0.2], "samples": 64})
    >>> lever_spread(frame).get_label()
    'Doubt about leads makes 65 % of the spread of bookings (55–75 %)'
    """
    rows = known(frame, ["first_order", "total", "total_low", "total_high"])
    rows = rows[rows["total"] > 0].sort_values("total", kind="stable", ignore_index=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows), each=0.36))
    if rows.empty:
        return sheet.nothing("The spread has not been split: set sobol_samples to a power of 2, such as 256")
    ax = sheet.ax
    alone, total, low, high = (
        floats(rows[key]) for key in ("first_order", "total", "total_low", "total_high")
    )
    interval_rows(ax, rows["name"], low, total, high, colours=np.full(len(rows), BLUE))
    texts = [f"{formats.percent(each)}" for each in total]
    column_beside(ax, texts, right=8, looks=[(BLUE, "semibold")] * len(rows), head="total")
    alones = [formats.percent(max(each, 0.0)) for each in alone]  # below 0 by sampling error only
    column_beside(ax, alones, right=58, looks=[(MUTED, "normal")] * len(rows), head="alone")
    ax.axvline(0, color=MUTED, linewidth=1)
    least, most = min(0.0, float(low.min())), max(float(high.max()), 0.1)
    room = 0.04 * (most - least)
    ax.set_xlim(least - room, most + room)
    scale(ax.xaxis, formats.percent, most=5)
    samples = formats.count(float(rows["samples"].iloc[0]))
    finding = (
        f"Doubt about {rows['name'].iloc[-1]} makes {formats.percent(total[-1])} of the spread of bookings "
        f"({formats.percent(low[-1]).removesuffix(' %')}–{formats.percent(high[-1])})"
    )
    if "enough" in rows and not rows["enough"].all():
        finding = "Too few points for a finding: take more samples"
    about = (
        "Share of the variance from a lever, with what it does together with others (total; bar: 80 % "
        f"interval) and alone; n = {samples} base points"
    )
    return sheet.finish(finding, about=about)

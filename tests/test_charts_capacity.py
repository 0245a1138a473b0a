"""Charts of the capacity chapter: findings are those of the data, pictures are whole and readable."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from salessim import charts
from salessim.charts import style
from tests.test_charts_quota_pay import FEW, FORTY, LONG, figure_of, said, words

Draw = Callable[[], Axes]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Warnings are errors, such as a missing letter in the font; figures are closed."""
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", pytest.PytestUnraisableExceptionWarning)
        yield
    plt.close("all")
    mpl.rcParams.update(before)


def told(ax: Axes) -> str:
    return str(ax.get_label())


def months(size: int = 12, *, factor: float = 1.07) -> pd.DataFrame:
    now = np.array([41.0, 33.0, 33.0] * 9)[:size]
    return pd.DataFrame(
        {
            "month": [f"{2026 + k // 12}-{k % 12 + 1:02d}" for k in range(size)],
            "now": now, "closed_form": now * np.linspace(0.5, 1.1, size), "simulated": now * factor,
        }
    )  # fmt: skip


def limits(*tried: float, without: float = 5.3e6) -> pd.DataFrame:
    every = np.array([*tried, math.inf])
    expected = without * (1 - np.exp(-every / 3))
    return pd.DataFrame(
        {
            "limit": [*tried, math.nan], "expected": expected, "p10": expected * 0.85,
            "p90": expected * 1.15, "leads_lost": 400 * np.exp(-every / 3),
        }
    )  # fmt: skip


def use(names: tuple[str, ...], *, most: float = 1.0) -> pd.DataFrame:
    used = np.linspace(0.4, most, len(names))
    return pd.DataFrame(
        {"rep": names, "used": used, "p10": used * 0.9, "p90": used * 1.04, "leads_lost": 20 * used}
    )


def need(gaps: tuple[float, ...], gained: tuple[float, ...]) -> pd.DataFrame:
    needed = np.full(len(gaps), 1.4e6)
    without = needed - np.array(gaps)
    there = without + np.array(gained)
    return pd.DataFrame(
        {
            "quarter": [f"2026Q{k + 1}" for k in range(len(gaps))], "needed": needed,
            "without_hires": without, "with_hires": there, "missing": np.maximum(needed - there, 0.0),
        }
    )  # fmt: skip


def levers(names: tuple[str, ...], *, plan: bool = True) -> pd.DataFrame:
    swing = np.linspace(1e6, 1e4, len(names))
    return pd.DataFrame(
        {
            "name": names, "change": 0.1, "bookings_low": 5.3e6 - swing / 2, "bookings_base": 5.3e6,
            "bookings_high": 5.3e6 + swing / 2, "chance_low": 0.004 if plan else math.nan,
            "chance_high": 0.996 if plan else math.nan, "swing": swing, "swing_high": swing * 1.1,
        }
    )  # fmt: skip


def spread(names: tuple[str, ...]) -> pd.DataFrame:
    total = np.linspace(0.5, 0.02, len(names))
    return pd.DataFrame(
        {
            "name": names, "first_order": total - 0.03, "total": total, "total_low": total - 0.1,
            "total_high": total + 0.1, "samples": 32,
        }
    )  # fmt: skip


DRAWN: dict[str, Draw] = {
    "leads": lambda: charts.leads_needed(months()),
    "leads, out of reach": lambda: charts.leads_needed(months(factor=math.nan), chance_wanted=0.9),
    "leads, one month": lambda: charts.leads_needed(months(1)),
    "leads, two years": lambda: charts.leads_needed(months(24, factor=9.0), what="new opportunities"),
    "limits": lambda: charts.bookings_under_limit(limits(2, 3, 5, 7, 9), currency="EUR"),
    "limits, marked": lambda: charts.bookings_under_limit(
        limits(35, 40, 52, 69, 104, 139), marked=40, currency="USD"
    ),
    "limits, one": lambda: charts.bookings_under_limit(limits(1).assign(trials=400), currency="XXX"),
    "use": lambda: charts.capacity_in_use(use(FEW)),
    "use, many over the limit": lambda: charts.capacity_in_use(use(FORTY, most=1.4)),
    "use, long names": lambda: charts.capacity_in_use(use(LONG)),
    "need": lambda: charts.needed_and_there(need((-1e5, 1e5, 2e5, 1e5), (0, 0, 3e4, 1e5)), currency="EUR"),
    "need, two years": lambda: charts.needed_and_there(need((2e5,) * 8, (1e5,) * 8), currency="EUR"),
    "levers": lambda: charts.lever_tornado(levers(FEW), currency="EUR"),
    "levers, long names": lambda: charts.lever_tornado(levers(LONG), currency="EUR"),
    "levers, many": lambda: charts.lever_tornado(levers(FORTY[:16], plan=False), currency="EUR"),
    "spread": lambda: charts.lever_spread(spread(FEW)),
    "spread, long names": lambda: charts.lever_spread(spread(LONG)),
}
EMPTY: dict[str, tuple[Draw, str]] = {
    "leads": (lambda: charts.leads_needed(months().head(0)), "No leads can be planned"),
    "limits": (lambda: charts.bookings_under_limit(limits()), "No limit on open deals has been tried"),
    "use": (lambda: charts.capacity_in_use(use(())), "No rep has a limit"),
    "need": (lambda: charts.needed_and_there(need((), ())), "Nothing is asked of the quarters"),
    "levers": (lambda: charts.lever_tornado(levers(())), "No lever moves the bookings"),
    "spread": (lambda: charts.lever_spread(spread(())), "The spread has not been split"),
}


@pytest.mark.parametrize("name", [*DRAWN, *(f"empty: {name}" for name in EMPTY)])
def test_every_text_lies_inside_the_figure_and_none_over_another(name: str) -> None:
    ax = DRAWN[name]() if name in DRAWN else EMPTY[name.removeprefix("empty: ")][0]()
    figure = figure_of(ax)
    figure.canvas.draw()
    whole = figure.bbox.padded(1)
    boxes = [(text.get_text(), text.get_window_extent()) for text in words(ax)]
    for text, box in boxes:
        assert whole.x0 <= box.x0 <= box.x1 <= whole.x1, text
        assert whole.y0 <= box.y0 <= box.y1 <= whole.y1, text
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not first.padded(-1).overlaps(second.padded(-1)), (one, other)


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_to_draw_is_said_in_the_picture(name: str) -> None:
    draw, message = EMPTY[name]
    assert told(draw()).startswith(message)


@pytest.mark.parametrize("name", ["limits, marked", "levers"])
def test_the_same_data_give_the_same_picture(name: str, tmp_path: Path) -> None:
    first, second = (charts.save(DRAWN[name](), path=tmp_path / f"{k}.svg").read_bytes() for k in (1, 2))
    assert first == second


ON_AXES: dict[str, Callable[[Axes], Axes]] = {
    "leads": lambda ax: charts.leads_needed(months(), ax=ax, title="Ours"),
    "limits": lambda ax: charts.bookings_under_limit(limits(3, 5), ax=ax, title="Ours"),
    "use": lambda ax: charts.capacity_in_use(use(FEW), ax=ax, title="Ours"),
    "need": lambda ax: charts.needed_and_there(need((1e5,), (0,)), ax=ax, title="Ours"),
    "levers": lambda ax: charts.lever_tornado(levers(FEW), ax=ax, title="Ours"),
    "spread": lambda ax: charts.lever_spread(spread(FEW), ax=ax, title="Ours"),
}


@pytest.mark.parametrize("name", ON_AXES)
def test_charts_draw_on_axes_of_the_caller_under_a_title_of_the_caller(name: str) -> None:
    figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    assert ON_AXES[name](ax) is ax
    assert figure.axes == [ax]
    assert ax.get_title(loc="left") == told(ax) == "Ours"


def test_leads_say_more_fewer_or_out_of_reach() -> None:
    assert told(charts.leads_needed(months())) == (
        "An 80 % chance of the plan takes 458 leads, 7 % more than the 428 of today"
    )
    fewer = charts.leads_needed(months(factor=0.9), chance_wanted=0.7)
    assert told(fewer) == "A 70 % chance of the plan takes 385 leads, 10 % fewer than the 428 of today"
    assert "as many as the 428 of today" in told(charts.leads_needed(months(factor=1.0)))
    out = DRAWN["leads, out of reach"]()
    assert told(out).startswith("No number of leads gives a 90 % chance of the plan")
    assert len(out.lines) == 2
    assert {"today", "spreadsheet", "for 80 %"} <= set(said(DRAWN["leads"]()))


def test_limits_name_what_the_marked_one_costs_and_which_is_enough() -> None:
    marked = charts.bookings_under_limit(limits(3, 6, 20), marked=3, currency="EUR")
    assert told(marked) == (
        "At most 3 open deals per rep cost EUR 1.95m (37 %) of bookings; 20 cost next to nothing"
    )
    colours = [to_hex(colour).upper() for colour in np.asarray(marked.collections[-1].get_facecolor())]
    assert colours == [style.ORANGE, style.BLUE, style.BLUE, style.MUTED]
    loose = charts.bookings_under_limit(limits(20, 30), marked=20, currency="EUR")
    assert told(loose) == "At most 20 open deals per rep cost next to nothing"
    # unasked, the title tells of the limit that costs about a tenth
    assert told(charts.bookings_under_limit(limits(2, 7, 20))).startswith("At most 7 open deals")
    assert told(charts.bookings_under_limit(limits(1))).startswith("At most 1 open deal per rep costs")


def test_use_counts_who_is_full() -> None:
    ax = charts.capacity_in_use(use(FEW))
    assert told(ax) == (
        "1 of 4 reps uses more than 90 % of the limit; 56 leads are lost for want of capacity"
    )
    assert "None of 4 reps uses" in told(charts.capacity_in_use(use(FEW, most=0.8)))
    over = DRAWN["use, many over the limit"]()
    assert any("above 100 %: deals held when the year begins" in text for text in said(over))
    assert not any("above 100 %" in text for text in said(ax))


def test_need_says_what_hires_close_and_what_stays_missing() -> None:
    draw = charts.needed_and_there
    assert told(draw(need((-1e5, 0), (0, 0)))).startswith("Every quarter is expected to bring")
    closed = draw(need((0, 2e5), (0, 2e5)), currency="EUR")
    assert told(closed) == "Hires close the gap of EUR 200k in 2026Q2"
    some = draw(need((1e5, 2e5), (0, 5e4)), currency="EUR")
    assert told(some) == "Hires bring EUR 50k; EUR 100k in 2026Q1 and EUR 150k in 2026Q2 stay missing"
    none = draw(need((1e5, 0), (0, 0)), currency="EUR")
    assert told(none) == "EUR 100k in 2026Q1 stays missing, and hires cannot close it"


def test_levers_stand_ranked_with_the_plan_beside_them() -> None:
    frame = levers(("deal size", "leads"))
    ax = charts.lever_tornado(frame.iloc[::-1], currency="EUR")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["leads", "deal size"]
    assert told(ax) == (
        "Deal size moves the plan most: 10 % worse or better means EUR 4.80m or EUR 5.80m of bookings"
    )
    assert {"chance of plan", "under 1 %–over 99 %"} <= set(said(ax))
    assert "chance of plan" not in said(charts.lever_tornado(levers(FEW, plan=False)))
    assert told(charts.lever_tornado(frame.tail(1))).startswith("Leads move the plan most")


def test_the_spread_is_told_with_its_interval() -> None:
    ax = charts.lever_spread(spread(("leads", "ramp")))
    assert told(ax) == "Doubt about leads makes 50 % of the spread of bookings (40–60 %)"
    assert any("n = 32 base points" in text for text in said(ax))


def test_too_few_base_points_give_no_finding() -> None:
    frame = spread(("leads", "ramp"))
    assert told(charts.lever_spread(frame.assign(enough=True))).startswith("Doubt about leads makes 50 %")
    too_few = charts.lever_spread(frame.assign(enough=False))
    assert told(too_few) == "Too few points for a finding: take more samples"


def test_levers_are_coloured_by_what_they_do_to_bookings() -> None:
    frame = levers(("attrition",))
    ends = {"bookings_low": frame["bookings_high"], "bookings_high": frame["bookings_low"]}
    ax = charts.lever_tornado(frame.assign(**ends), currency="EUR")  # more attrition books less
    assert (
        told(ax)
        == "Attrition moves the plan most: 10 % worse or better means EUR 4.80m or EUR 5.80m of bookings"
    )
    widths = {to_hex(bar.get_facecolor()).upper(): bar.get_width() for bar in ax.patches}  # type: ignore[attr-defined]
    assert widths[style.ORANGE] < 0 < widths[style.BLUE]


def test_limits_say_how_many_horizons_were_simulated() -> None:
    ax = charts.bookings_under_limit(limits(3, 5).assign(trials=400))
    assert any("n = 400 simulated horizons each" in text for text in said(ax))

"""Charts of quotas and pay: the findings are those of the data, and every picture is whole and readable."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats

from salessim import charts
from salessim.charts import style
from salessim.errors import ParameterError

Draw = Callable[[], Axes]
LONG = (
    "Bardzo długa nazwa z wieloma słowami: zażółć gęślą jaźń",
    "Подтверждение потребности и бюджета у лица, принимающего решения",
    "Antidisestablishmentarianism-and-Sons-of-the-Northern-Territory",
)
FEW = ("Ada", "Bo", "Cy", "Di")
FORTY = tuple(f"Rep {number:02d} Surname" for number in range(40))


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Warnings are errors, such as a missing letter in the font; figures are closed."""
    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # sockets and event loops that other tests left to the garbage collector are not ours to judge
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", pytest.PytestUnraisableExceptionWarning)
        yield
    plt.close("all")
    mpl.rcParams.update(before)


# --- data --------------------------------------------------------------------------------------------------


def curve(*, low: float = 60_000, high: float = 160_000) -> pd.DataFrame:
    quota = np.linspace(low, high, 41)
    share = stats.norm.sf((quota - 112_000) / 22_000)
    cost = 0.09 + 0.05 * share
    return pd.DataFrame(
        {
            "quota": quota, "share_attaining": share,
            "probability_band": 0.6 * np.exp(-(((share - 0.67) / 0.13) ** 2)),
            "probability_sum": stats.norm.sf((quota - 130_000) / 20_000), "probability_plan": 0.72,
            "pay_cost_share": cost, "pay_cost_low": cost - 0.006, "pay_cost_high": cost + 0.009,
        }
    )  # fmt: skip


def strip(names: tuple[str, ...], *, spread: float = 1.0) -> pd.DataFrame:
    made = np.linspace(0.35, 1.6, len(names)) * spread
    return pd.DataFrame(
        {"rep": names, "attainment": made, "low": 0.5, "high": 1.45,
         "chance": np.linspace(0.3, 0.8, len(names))}
    )  # fmt: skip


def earnings(*, accelerators: tuple[tuple[float, float], ...] = (), step: float = 0.01) -> pd.DataFrame:
    """Base and 50,000 at quota; from each start on, a multiple of the rate."""
    attainment = np.round(np.arange(0, 2 + step / 2, step), 6)
    starts = [0.0, *(start for start, _ in accelerators), np.inf]
    rates = [1.0, *(rate for _, rate in accelerators)]
    pay = sum(
        rate * np.clip(attainment - first, 0, last - first)
        for rate, first, last in zip(rates, starts[:-1], starts[1:], strict=True)
    )
    return pd.DataFrame({"attainment": attainment, "pay": 50_000 + 50_000 * np.asarray(pay)})


def plans(*names: str) -> pd.DataFrame:
    parts = [
        earnings(accelerators=((1.0, 1.0 + k),)).assign(plan=name) for k, name in enumerate(names, start=0)
    ]
    return pd.concat(parts, ignore_index=True)


def laboratory(sizes: tuple[int, ...] = (5, 10, 20, 40, 80), steps: int = 4) -> pd.DataFrame:
    pairs = [(size, 0.1 * step) for size in sizes for step in range(steps)]
    rows = pd.DataFrame(pairs, columns=["reps", "improvement"])
    distance = (rows["improvement"] - 0.12) * np.sqrt(rows["reps"]) * 2.2 + 0.3
    return rows.assign(fires=stats.norm.cdf(distance))


def split(names: tuple[str, ...]) -> pd.DataFrame:
    luck = np.linspace(0.5, 0.9, len(names))
    return pd.DataFrame(
        {"rep": names, "luck": luck, "territory": (1 - luck) * 0.5, "skill": (1 - luck) * 0.3,
         "market": (1 - luck) * 0.2}
    )  # fmt: skip


def costs(*names: str) -> pd.DataFrame:
    middle = 1e6 + 5e4 * np.arange(len(names))
    return pd.DataFrame(
        {"plan": names, "p10": middle * 0.85, "p50": middle, "p90": middle * 1.2, "share_p50": middle / 1e7}
    )  # fmt: skip


def history(size: int, *, reps: tuple[int, ...] = (30, 8)) -> pd.DataFrame:
    share = np.array([0.7, 0.62, 0.45, 0.8, 0.66, 0.58] * 5)[:size]
    return pd.DataFrame(
        {
            "period": [f"{2023 + k // 4}Q{k % 4 + 1}" for k in range(size)], "share": share,
            "low": np.maximum(share - 0.15, 0), "high": np.minimum(share + 0.13, 1),
            "n": [reps[k % len(reps)] for k in range(size)],
        }
    )  # fmt: skip


def levers() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "lever": ["leads", "win rate", "deal size", "ramp", "reps"],
            "change_needed": [0.18, 0.09, 0.125, np.nan, 0.2],
            "note": ["", "from 22 % to 24 %", None, "even without any ramp EUR 120k are missing", "2 more"],
        }
    )  # fmt: skip


DRAWN: dict[str, Draw] = {
    "quota_tradeoff": lambda: charts.quota_tradeoff(curve(), recommended_quota=102_182, currency="USD"),
    "quota_tradeoff, no interval": lambda: charts.quota_tradeoff(
        curve().drop(columns=["pay_cost_low", "pay_cost_high"]), recommended_quota=102_182, currency="USD"
    ),
    "quota_tradeoff, no pay": lambda: charts.quota_tradeoff(
        curve().drop(columns="pay_cost_share"), recommended_quota=102_182, currency="USD"
    ),
    "quota_tradeoff, range at the left": lambda: charts.quota_tradeoff(
        curve(low=98_000), recommended_quota=100_000, currency="USD"
    ),
    "quota_tradeoff, range at the right": lambda: charts.quota_tradeoff(
        curve(low=20_000, high=102_000), recommended_quota=100_000, currency="USD"
    ),
    "attainment_strip": lambda: charts.attainment_strip(strip(FEW)),
    "attainment_strip, many": lambda: charts.attainment_strip(strip(FORTY)),
    "attainment_strip, long names": lambda: charts.attainment_strip(
        strip(LONG).assign(attainment=[np.nan, 0.7, 2])
    ),
    "attainment_strip, extreme": lambda: charts.attainment_strip(
        strip(FEW).assign(attainment=[-0.2, 0.9, 1, 12.5])
    ),
    "attainment_strip, none yet": lambda: charts.attainment_strip(strip(FEW).assign(attainment=np.nan)),
    "earnings_curve": lambda: charts.earnings_curve(
        earnings(accelerators=((1.0, 1.5), (1.25, 2.0))), currency="EUR", ote=100_000
    ),
    "earnings_curve, three plans": lambda: charts.earnings_curve(
        plans("flat", "accelerated", "steep"), currency="EUR", ote=100_000
    ),
    "earnings_curve, same ends": lambda: charts.earnings_curve(
        pd.concat([earnings().assign(plan=name) for name in FEW[:3]]), currency="EUR"
    ),
    "earnings_curve, long names": lambda: charts.earnings_curve(plans(*LONG), currency="EUR", ote=100_000),
    "earnings_curve, no quota": lambda: charts.earnings_curve(earnings().head(60), currency="XXX"),
    "rule_laboratory": lambda: charts.rule_laboratory(
        laboratory(), rule_text="two quarters, 80 % of the team above quota, by 25 % on average"
    ),
    "rule_laboratory, many": lambda: charts.rule_laboratory(laboratory(tuple(range(5, 105, 5)), steps=9)),
    "variance_split": lambda: charts.variance_split(split(FEW)),
    "variance_split, many": lambda: charts.variance_split(split(FORTY)),
    "variance_split, long names": lambda: charts.variance_split(split(LONG)),
    "variance_split, extreme": lambda: charts.variance_split(
        split(FEW).assign(luck=0.985, territory=0.005, skill=0.005, market=0.005)
    ),
    "pay_cost_range": lambda: charts.pay_cost_range(costs("flat", "accelerated"), currency="EUR"),
    "pay_cost_range, long names": lambda: charts.pay_cost_range(costs(*LONG), currency="EUR"),
    "pay_cost_range, many": lambda: charts.pay_cost_range(costs(*FORTY[:13]), currency="EUR"),
    "attainment_history": lambda: charts.attainment_history(history(6)),
    "attainment_history, many": lambda: charts.attainment_history(history(24)),
    "attainment_history, long names": lambda: charts.attainment_history(
        history(6).assign(period=[*LONG, *LONG])
    ),
    "attainment_history, extreme": lambda: charts.attainment_history(
        history(4).assign(share=[0, 1, 1, 0], low=[0, 0.6, np.nan, 0], high=[0.4, 1, np.nan, 0.3])
    ),
    "quota_gap": lambda: charts.quota_gap(levers(), gap=410_000, currency="EUR"),
    "quota_gap, long names": lambda: charts.quota_gap(
        pd.DataFrame({"lever": LONG, "change_needed": [0.004, -0.3, 12.0], "note": LONG}), currency="EUR"
    ),
}
EMPTY: dict[str, tuple[Draw, str]] = {
    "quota_tradeoff": (
        lambda: charts.quota_tradeoff(curve().head(0), recommended_quota=1),
        "No quota has been scored",
    ),
    "quota_gap": (lambda: charts.quota_gap(levers().head(0)), "No lever has been tried"),
    "attainment_strip": (
        lambda: charts.attainment_strip(strip(FEW).assign(low=np.nan)),
        "No rep has an interval of luck",
    ),
    "earnings_curve": (
        lambda: charts.earnings_curve(earnings().assign(pay=np.nan), currency="EUR"),
        "No pay has been worked out",
    ),
    "rule_laboratory": (
        lambda: charts.rule_laboratory(laboratory().assign(fires=np.nan)),
        "The rule has not been tried",
    ),
    "variance_split": (
        lambda: charts.variance_split(pd.DataFrame({"rep": ["Ada"]})),
        "No rep’s attainment has been split",
    ),
    "pay_cost_range": (
        lambda: charts.pay_cost_range(costs("flat").head(0), currency="EUR"),
        "No pay plan has been costed",
    ),
    "attainment_history": (
        lambda: charts.attainment_history(history(2).assign(n=0)),
        "No period has quotas and bookings",
    ),
}


def figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def words(ax: Axes) -> list[Text]:
    """Every text of a picture, tick labels that are in view included."""
    figure = figure_of(ax)
    texts = [*figure.texts]
    for each in figure.axes:
        if not each.axison:
            texts += each.texts
            continue
        texts += [each.title, each._left_title, *each.texts]
        for axis in (each.xaxis, each.yaxis):
            low, high = sorted(axis.get_view_interval())
            if axis.get_visible():
                ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
                texts += [axis.label, *(tick.label1 for tick in ticks), *(tick.label2 for tick in ticks)]
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def said(ax: Axes) -> list[str]:
    """Texts of a picture, each in one line."""
    return [" ".join(text.get_text().split()) for text in words(ax)]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG 2 defines it."""
    light = []
    for colour in (one, other):
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        light.append(float(np.dot([0.2126, 0.7152, 0.0722], parts)) + 0.05)
    return max(light) / min(light)


# --- drawing -----------------------------------------------------------------------------------------------


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
    assert ax.get_label()


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_to_draw_is_said_in_the_picture(name: str) -> None:
    draw, message = EMPTY[name]
    ax = draw()
    assert ax.get_label().startswith(message)
    assert " ".join(ax.texts[0].get_text().split()).startswith(message)


@pytest.mark.parametrize("name", ["quota_tradeoff"])
def test_the_same_data_give_the_same_picture(name: str, tmp_path: Path) -> None:
    first, second = (charts.save(DRAWN[name](), path=tmp_path / f"{k}.svg").read_bytes() for k in (1, 2))
    assert first == second


OWN = "Our own words"
ON_AXES: dict[str, Callable[[Axes], Axes]] = {
    "quota_tradeoff": lambda ax: charts.quota_tradeoff(curve(), recommended_quota=102_182, ax=ax, title=OWN),
    "attainment_strip": lambda ax: charts.attainment_strip(strip(FEW), ax=ax, title=OWN),
    "earnings_curve": lambda ax: charts.earnings_curve(earnings(), currency="EUR", ax=ax, title=OWN),
    "rule_laboratory": lambda ax: charts.rule_laboratory(laboratory(), ax=ax, title=OWN),
    "variance_split": lambda ax: charts.variance_split(split(FEW), ax=ax, title=OWN),
    "pay_cost_range": lambda ax: charts.pay_cost_range(costs("flat"), currency="EUR", ax=ax, title=OWN),
    "attainment_history": lambda ax: charts.attainment_history(history(4), ax=ax, title=OWN),
    "quota_gap": lambda ax: charts.quota_gap(levers(), ax=ax, title=OWN),
}


@pytest.mark.parametrize("name", ON_AXES)
def test_charts_draw_on_axes_of_the_caller_under_a_title_of_the_caller(name: str) -> None:
    figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    assert ON_AXES[name](ax) is ax
    assert figure.axes == [ax]  # the trade-off leaves its lower panel out
    assert ax.get_label() == OWN
    assert ax.get_title(loc="left") == OWN
    assert {text.get_fontfamily()[0] for text in ax.texts} <= {style.FONT}


# --- findings ----------------------------------------------------------------------------------------------


def test_quota_tradeoff_adds_what_pay_takes_and_the_chance_of_the_plan() -> None:
    ax = DRAWN["quota_tradeoff"]()
    upper, lower = figure_of(ax).axes
    assert upper is ax
    assert ax.get_label().endswith("with probability 59 %; pay takes 12.4 % of bookings")
    assert {"chance of the team plan", "12.4 %", "Pay as a share of bookings; shaded: P10 to P90"} <= set(
        said(ax)
    )
    assert lower.get_xlim() == upper.get_xlim()
    alone = DRAWN["quota_tradeoff, no pay"]()
    assert figure_of(alone).axes == [alone]
    assert "pay" not in alone.get_label()
    unknown = curve().assign(probability_plan=np.nan, pay_cost_share=np.nan)
    bare = charts.quota_tradeoff(unknown, recommended_quota=102_182)
    assert figure_of(bare).axes == [bare]
    assert "chance of the team plan" not in said(bare)


def test_quota_tradeoff_marks_the_quotas_that_put_the_share_in_the_band() -> None:
    # the share falls by one point per thousand: 75 % at 95,000 and 60 % at 110,000
    line = pd.DataFrame({"quota": [70e3, 130e3], "share_attaining": [1.0, 0.4]}).assign(
        probability_band=0.5, probability_sum=0.5
    )

    def named(rows: pd.DataFrame, **band: tuple[float, float]) -> list[str]:
        ax = charts.quota_tradeoff(
            rows, recommended_quota=float(rows["quota"].iloc[0]), currency="EUR", **band
        )
        return [text.split(": ")[1] for text in said(ax) if "make it" in text]

    assert named(line) == ["EUR 95k–110k"]
    assert named(line, band=(0.3, 0.6)) == ["EUR 110k and more"]
    assert named(line, band=(0.9, 1.0)) == ["up to EUR 80k"]
    assert named(line, band=(0.2, 1.0)) == ["at every quota shown"]
    assert named(line, band=(0.1, 0.3)) == []
    ax = charts.quota_tradeoff(line, recommended_quota=1e5, currency="EUR")
    spans = [patch.get_bbox() for patch in ax.patches if patch.get_width() < 1e5]
    assert any((box.x0, box.x1) == pytest.approx((95e3, 110e3)) for box in spans)


def test_attainment_strip_counts_whom_luck_explains() -> None:
    draw = charts.attainment_strip
    assert draw(strip(FEW)).get_label() == (
        "2 of 4 reps landed inside the expected range; outside: Ada (below), Di (above); "
        "by chance 0.8 would be outside"
    )
    assert draw(strip(FORTY)).get_label() == (
        "30 of 40 reps landed inside the expected range; outside: 5 below, 5 above; "
        "by chance 8 would be outside"
    )
    assert draw(strip(FEW).iloc[1:3]).get_label() == "All 2 reps landed inside the expected range"
    assert draw(strip(FEW).iloc[:1]).get_label().startswith("None of 1 rep landed inside")
    assert DRAWN["attainment_strip, none yet"]().get_label() == (
        "No attainment yet; luck alone puts the typical rep between 50 % and 145 % of quota"
    )
    edge = strip(FEW).assign(attainment=[0.5, 1.45, 1.0, 1.0])
    assert draw(edge).get_label().startswith("All 4 reps")


def test_attainment_strip_says_who_is_left_out_and_marks_sides_by_shape_and_colour() -> None:
    frame = strip(FEW)
    frame.loc[1, "attainment"] = np.nan
    frame.loc[2, ["low", "high"]] = np.nan
    ax = charts.attainment_strip(frame)
    about = next(text for text in said(ax) if text.startswith("Mark:"))
    assert "1 without an attainment yet; 1 without an interval left out" in about
    above, below = ax.collections[-2:]
    assert to_hex(above.get_facecolor()[0]).upper() == style.BLUE
    assert to_hex(below.get_facecolor()[0]).upper() == style.ORANGE
    assert np.asarray(above.get_offsets())[:, 0] == pytest.approx([1.6])
    assert np.asarray(below.get_offsets())[:, 0] == pytest.approx([0.35])
    assert len(above.get_paths()[0]) == len(below.get_paths()[0])  # triangles, one upside down
    assert not np.allclose(above.get_paths()[0].vertices, below.get_paths()[0].vertices)


def finding_of(frame: pd.DataFrame) -> str:
    return charts.earnings_curve(frame, currency="EUR").get_label()


def test_earnings_curve_reads_pay_and_what_becomes_of_the_rate() -> None:
    base = "At quota a rep earns EUR 100k; at 150 % EUR "
    assert finding_of(earnings()) == f"{base}125k; every point of attainment pays the same"
    two = ((1.0, 1.5), (1.25, 2.0))
    assert finding_of(earnings(accelerators=two)) == f"{base}144k; the rate rises to 2× above 125 %"
    # only where the tiers start, and where they start between two points
    tiers = earnings(accelerators=two, step=0.25)
    assert finding_of(tiers) == finding_of(earnings(accelerators=two))
    between = earnings(accelerators=((1.125, 3.0),))
    assert finding_of(between).endswith("the rate rises to 3× above 112 %")
    capped = earnings(accelerators=((1.0, 2.0), (1.6, 0.0)))
    assert finding_of(capped) == (
        f"{base}150k; the rate rises to 2× above 100 %; no more is paid above 160 %"
    )
    slower = earnings(accelerators=((1.0, 0.5),))
    assert finding_of(slower) == f"{base}112k"


def test_earnings_curve_finds_a_jump_of_a_retroactive_plan() -> None:
    jump = earnings()
    jump.loc[jump["attainment"] >= 1, "pay"] += 20_000
    assert finding_of(jump) == (
        "At quota a rep earns EUR 120k; at 150 % EUR 145k; pay jumps by EUR 20k at 100 %"
    )
    exact = pd.DataFrame({"attainment": [0, 1, 1, 1.5], "pay": [50e3, 100e3, 120e3, 145e3]})
    assert finding_of(exact) == finding_of(jump)


def test_earnings_curve_compares_plans_and_stays_within_what_is_shown() -> None:
    ax = DRAWN["earnings_curve, three plans"]()
    assert ax.get_label() == (
        "At quota every plan pays EUR 100k; at 150 % flat pays EUR 125k, accelerated EUR 150k, steep EUR 175k"
    )
    assert {"flat", "accelerated", "steep", "OTE EUR 100k", "quota"} <= set(said(ax))
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines[:3]}) == 3
    ends = {str(line.get_color()): float(np.asarray(line.get_ydata())[-1]) for line in ax.lines[:3]}
    for text in ax.texts:
        if text.get_text() in ("flat", "accelerated", "steep"):  # beside the end of its own line
            assert text.xy[1] == ends[str(text.get_color())]
    short = DRAWN["earnings_curve, no quota"]()
    assert short.get_label() == "At 59 % a rep earns 80k"
    assert "quota" not in said(short)
    unknown = earnings()
    unknown.loc[120:, "pay"] = np.nan
    assert finding_of(unknown).startswith("At quota a rep earns EUR 100k; at 119 % EUR 110k")
    with pytest.raises(ParameterError, match="up to 3 plans; given: 'a', 'b', 'c', 'd'"):
        charts.earnings_curve(plans("a", "b", "c", "d"), currency="EUR")


def alarms(*rates: float, sizes: tuple[int, ...] = (10, 20, 40), limit: float = 0.10) -> str:
    rows = pd.DataFrame({"reps": sizes, "improvement": 0.0, "fires": rates})
    return charts.rule_laboratory(rows, false_alarm=limit).get_label()


def test_rule_laboratory_says_which_teams_may_trust_the_rule() -> None:
    told = "A team of 10 that did not change would be told to raise the bar in 48 % of histories; "
    assert alarms(0.48, 0.2, 0.08) == told + "from 40 reps on in at most 10 %"
    assert alarms(0.48, 0.1, 0.02) == told + "from 20 reps on in at most 10 %"
    assert alarms(0.48, 0.2, 0.11) == told + "no team size shown stays below 10 %"
    assert alarms(0.48, 0.2, 0.08, limit=0.05) == told + "no team size shown stays below 5 %"
    assert alarms(0.02, 0.04, 0.3).endswith("only smaller teams stay below 10 %: 10, 20")
    assert alarms(0.09, 0.04, 0.01) == (
        "A team of 10 to 40 that did not change would be told to raise the bar in at most 9 % of histories"
    )
    assert alarms(np.nan, 0.2, 0.08).startswith("A team of 20 that did not change")
    better = laboratory((10,)).query("improvement > 0")
    assert "of a team of 10 that became 30 % better" in charts.rule_laboratory(better).get_label()
    with pytest.raises(ParameterError, match="more than once: '10 reps, 0'"):
        charts.rule_laboratory(pd.concat([laboratory((10,))] * 2))


def test_rule_laboratory_cells_can_be_read_and_grow_darker() -> None:
    rates = np.linspace(0, 1, 21)
    rows = pd.DataFrame({"reps": np.arange(21) + 5, "improvement": 0.0, "fires": rates})
    ax = charts.rule_laboratory(rows)
    cells = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    for cell, text in zip(cells, ax.texts, strict=True):
        assert contrast(cell, to_hex(text.get_color())) >= 4.5
    lightness = [contrast(cell, "#000000") for cell in cells]
    assert lightness == sorted(lightness, reverse=True)
    assert (ax.texts[0].get_text(), ax.texts[-1].get_text()) == ("<1 %", ">99 %")
    hole = laboratory((10, 20))
    hole.loc[1, "fires"] = np.nan
    assert "–" in [text.get_text() for text in charts.rule_laboratory(hole).texts]
    assert "no change (false alarm)" in said(DRAWN["rule_laboratory"]())
    assert any("rule: two quarters" in text for text in said(DRAWN["rule_laboratory"]()))


def test_variance_split_gives_the_mean_over_the_reps() -> None:
    rows = pd.DataFrame(
        {"rep": ["Ada", "Bo"], "luck": [0.8, 0.62], "territory": [0.1, 0.24], "skill": [0.1, 0.14]}
    )
    ax = charts.variance_split(rows)
    assert ax.get_label() == "Luck makes up 71 % of what moves attainment, territory 17 %"
    assert {"luck 71 %", "territory 17 %", "skill 12 %", "mean of 2 reps"} <= set(said(ax))
    assert not any(text.startswith("market") for text in said(ax))
    bars = [bar for bar in ax.patches if bar.get_y() < 0.5]  # of the rep with least luck
    assert [bar.get_width() for bar in bars] == pytest.approx([0.62, 0.24, 0.14])
    assert [bar.get_x() for bar in bars] == pytest.approx([0, 0.62, 0.86])
    skilled = rows.assign(luck=[0.2, 0.3], skill=[0.7, 0.46])
    assert charts.variance_split(skilled).get_label() == (
        "Skill makes up 58 % of what moves attainment, luck 25 %"
    )
    assert charts.variance_split(rows[["rep", "luck"]]).get_label() == (
        "Luck makes up 71 % of what moves attainment"
    )


def test_variance_split_leaves_out_what_is_not_known_and_refuses_the_impossible() -> None:
    rows = split(FEW)
    rows.loc[0, "skill"] = np.nan
    ax = charts.variance_split(rows)
    assert any("1 without a split left out" in text for text in said(ax))
    assert "mean of 3 reps" in said(ax)
    with pytest.raises(ParameterError, match="'Ada'"):
        charts.variance_split(split(FEW).assign(market=[0.5, 0, 0, 0]))
    with pytest.raises(ParameterError, match="at least 0"):
        charts.variance_split(split(FEW).assign(market=-0.1))


def test_parts_of_the_variance_are_told_apart_in_grey() -> None:
    ax = DRAWN["variance_split"]()
    near = {bar.get_x(): to_hex(bar.get_facecolor()) for bar in ax.patches if bar.get_y() < 0.5}
    colours = [near[x] for x in sorted(near)]
    assert len(set(colours)) == 4
    assert all(contrast(one, other) > 1.8 for one, other in itertools.pairwise(colours))


def test_pay_cost_range_names_the_cheaper_plan() -> None:
    draw = charts.pay_cost_range
    two = costs("flat", "accelerated")
    assert draw(two, currency="EUR").get_label() == (
        "flat costs EUR 1.00m at the median, EUR 50k (5 %) less than accelerated"
    )
    assert draw(two.head(1), currency="EUR").get_label() == (
        "flat costs EUR 850k to EUR 1.20m with probability 80 %; EUR 1.00m at the median, 10.0 % of bookings"
    )
    assert draw(two.head(1).assign(share_p50=np.nan), currency="EUR").get_label().endswith("at the median")
    same = draw(two.assign(p50=1e6), currency="EUR").get_label()
    assert same.endswith("cost the same at the median: EUR 1.00m")
    two.loc[0, "p90"] = np.nan
    ax = draw(two, currency="EUR")
    assert ax.get_label().startswith("accelerated costs EUR 892k to EUR 1.26m")
    assert "Dot: median; bar: P10 to P90; 1 without a cost left out" in said(ax)


def test_attainment_history_counts_periods_in_the_band_and_shows_small_teams_hollow() -> None:
    ax = charts.attainment_history(history(6, reps=(30, 8)))
    assert ax.get_label() == "In 3 of 6 quarters the share at quota lay in 60–75 %; lately 58 % (n = 8)"
    fills = [to_hex(colour) for colour in ax.collections[-1].get_facecolors()]
    assert [fill == "#ffffff" for fill in fills] == [False, True] * 3
    edges = [to_hex(colour).upper() for colour in ax.collections[-1].get_edgecolors()]
    inside, outside = style.BLUE, style.ORANGE
    assert edges == [inside, inside, outside, outside, inside, outside]
    assert any("hollow: fewer than 10 reps (3 of 6)" in text for text in said(ax))
    large = charts.attainment_history(history(6, reps=(10,)))
    assert not any("hollow" in text for text in said(large))
    assert (
        charts.attainment_history(history(6), band=(0.9, 1.0)).get_label().startswith("In none of 6 quarters")
    )
    months = history(2).assign(period=["2026-01", "2026-02"], share=[0.6, np.nan])
    ax = charts.attainment_history(months)
    assert ax.get_label() == "In 1 of 1 period the share at quota lay in 60–75 %; lately 60 % (n = 30)"
    assert any("1 without a share left out" in text for text in said(ax))


def test_quota_gap_sorts_levers_by_change() -> None:
    ax = DRAWN["quota_gap"]()
    assert ax.get_label() == "Win rate closes the gap with the smallest change: +9 %"
    assert any("closes the gap of EUR 410k to the plan" in text for text in said(ax))
    labels = [text for text in said(ax) if text[0] in "+−" or "cannot" in text]
    assert labels == [
        "ramp: cannot close the gap alone", "+20 % reps", "+18 % leads", "+12 % deal size", "+9 % win rate"
    ]  # fmt: skip
    lengths = [bar.get_width() for bar in ax.patches]
    assert lengths == pytest.approx([0, 0.2, 0.18, 0.125, 0.09])
    colours = [to_hex(bar.get_facecolor()).upper() for bar in ax.patches]
    assert colours.count(style.BLUE) == 1
    shorter = pd.DataFrame({"lever": ["ramp", "leads"], "change_needed": [-0.05, 0.2]})
    assert charts.quota_gap(shorter).get_label() == "Ramp closes the gap with the smallest change: −5 %"
    none = charts.quota_gap(levers().assign(change_needed=np.nan))
    assert none.get_label() == "No lever closes the gap alone"

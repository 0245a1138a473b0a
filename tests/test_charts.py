"""Charts: what titles state, that any data are drawn without a warning, and that nothing is cut off."""

from __future__ import annotations

import itertools
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from scipy import stats

from salessim import charts, crm, measures
from salessim.charts import style
from salessim.errors import ParameterError
from salessim.measures import INCOMPLETE
from salessim.periods import Quarter

LETTERS = "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ абвгдежзийклмнопрстуфхцчшщъыьэюяёАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЁ –×÷"
SVG = "{http://www.w3.org/2000/svg}"
LONG = (
    "Bardzo długa nazwa z wieloma słowami: zażółć gęślą jaźń",
    "Подтверждение потребности и бюджета у лица, принимающего решения",
    "Antidisestablishmentarianism-and-Sons-of-the-Northern-Territory",
)


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


def stages(names: tuple[str, ...] = ("cold lead", "warm lead", "closing deal")) -> pd.DataFrame:
    size = len(names)
    return pd.DataFrame(
        {
            "stage": names,
            "deals": np.arange(size, 0, -1) * 10,
            "value": np.arange(size, 0, -1) * 250_000.0,
            "weighted_value": np.arange(size, 0, -1) * 40_000.0,
        }
    )


def quarters(size: int = 4, *, partial: tuple[int, ...] = (0,)) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "quarter": [str(Quarter(2025, 1).shift(k)) for k in range(size)],
            "won_value": 1e6 + 5e4 * np.arange(size),
            "won_count": 40 + np.arange(size),
            "partial": [k in partial for k in range(size)],
        }
    )


def rates(names: tuple[str, ...]) -> pd.DataFrame:
    wins = np.linspace(4, 36, len(names)).round()
    found = [measures.share_estimate(float(each), 40) for each in wins]
    return pd.DataFrame(
        {"rep": names} | {key: [getattr(e, key) for e in found] for key in ("value", "low", "high", "n")}
    )


def series(size: int = 4) -> pd.DataFrame:
    value = np.linspace(0.4, 0.5, size)
    return pd.DataFrame(
        {
            "quarter": quarters(size)["quarter"], "value": value, "low": value - 0.03, "high": value + 0.03,
            "n": 120, "note": [f"{INCOMPLETE}: cut off"] + [""] * (size - 1),
        }
    )  # fmt: skip


def curve() -> pd.DataFrame:
    quota = np.linspace(60_000, 160_000, 41)
    share = stats.norm.sf((quota - 112_000) / 22_000)
    return pd.DataFrame(
        {
            "quota": quota, "share_attaining": share,
            "probability_band": 0.6 * np.exp(-(((share - 0.67) / 0.13) ** 2)),
            "probability_sum": stats.norm.sf((quota - 130_000) / 20_000),
        }
    )  # fmt: skip


def outlook(names: tuple[str, ...]) -> pd.DataFrame:
    middle = np.linspace(60_000, 150_000, len(names))
    return pd.DataFrame(
        {
            "rep": names, "quota": 100_000.0, "p10": middle * 0.6, "p50": middle, "p90": middle * 1.5,
            "chance": np.linspace(0.1, 0.9, len(names)),
        }
    )  # fmt: skip


def bookings() -> pd.DataFrame:
    amount = np.linspace(1.5e6, 4.5e6, 120)
    return pd.DataFrame({"amount": amount, "probability_at_least": stats.norm.sf((amount - 3e6) / 3.5e5)})


def weeks(size: int = 52) -> pd.DataFrame:
    headcount = np.where(np.arange(size) < 8, 10, 12)
    return pd.DataFrame(
        {
            "week": pd.date_range("2026-07-01", periods=size, freq="7D"), "headcount": headcount,
            "productive": headcount - 3 * np.clip(1 - np.arange(size) / 36, 0, 1),
        }
    )  # fmt: skip


def ramp(*roles: str) -> pd.DataFrame:
    months = np.arange(1, 13)
    parts = [
        pd.DataFrame(
            {"month_of_tenure": months, "productivity": np.minimum(1, months / (3 + 4 * k)), "role": role}
        )
        for k, role in enumerate(roles)
    ]
    return pd.concat(parts, ignore_index=True)


def pmf(reps: int) -> np.ndarray:
    return stats.binom.pmf(np.arange(reps + 1), reps, 0.67)


Draw = Callable[[], Axes]
THIRTY = tuple(f"Rep {number:02d} Surname" for number in range(30))

NORMAL: dict[str, Draw] = {
    "funnel": lambda: charts.funnel(stages(), currency="EUR"),
    "pipeline_age": lambda: charts.pipeline_age(pd.Series(np.arange(300.0)), slowest_close_days=200),
    "bookings_by_quarter": lambda: charts.bookings_by_quarter(quarters(), currency="EUR"),
    "bookings_by_quarter, many": lambda: charts.bookings_by_quarter(
        quarters(16, partial=(0, 15)), currency="EUR"
    ),
    "win_rates": lambda: charts.win_rates(rates(THIRTY), group_label="rep", team_rate=0.5),
    "measure_by_quarter": lambda: charts.measure_by_quarter(series(), label="Win rate", unit="share"),
    "measure_by_quarter, many": lambda: charts.measure_by_quarter(series(14), label="Win rate", unit="share"),
    "attainment_distribution": lambda: charts.attainment_distribution(pmf(30)),
    "attainment_distribution, few": lambda: charts.attainment_distribution(pmf(6)),
    "quota_tradeoff": lambda: charts.quota_tradeoff(curve(), recommended_quota=102_182, currency="USD"),
    "quota_tradeoff, steep": lambda: charts.quota_tradeoff(
        curve().assign(
            probability_sum=lambda rows: stats.norm.sf((rows["quota"] - 110_000) / 6_000),
            probability_band=lambda rows: np.exp(-(((rows["quota"] - 102_182) / 9_000) ** 2)),
        ),
        recommended_quota=102_182,
        currency="USD",
    ),
    "quota_tradeoff, no sum": lambda: charts.quota_tradeoff(
        curve().assign(probability_sum=np.nan), recommended_quota=102_182
    ),
    "attainment_by_rep": lambda: charts.attainment_by_rep(outlook(THIRTY), currency="EUR"),
    "bookings_forecast": lambda: charts.bookings_forecast(bookings(), currency="EUR", plan=3.1e6),
    "bookings_forecast, easy plan": lambda: charts.bookings_forecast(bookings(), currency="EUR", plan=2.2e6),
    "bookings_forecast, hard plan": lambda: charts.bookings_forecast(bookings(), currency="EUR", plan=4.2e6),
    "bookings_forecast, no plan": lambda: charts.bookings_forecast(bookings(), currency="EUR"),
    "capacity_ramp": lambda: charts.capacity_ramp(weeks()),
    "capacity_ramp, long": lambda: charts.capacity_ramp(weeks(156)),
    "ramp_curve": lambda: charts.ramp_curve(ramp("AE").drop(columns="role")),
    "ramp_curve, roles": lambda: charts.ramp_curve(ramp("SDR", "AE", "Enterprise AE")),
}
LONG_NAMES: dict[str, Draw] = {
    "funnel": lambda: charts.funnel(stages(LONG), currency="PLN"),
    "win_rates": lambda: charts.win_rates(rates(LONG), group_label="account manager", team_rate=0.5),
    "attainment_by_rep": lambda: charts.attainment_by_rep(outlook(LONG), currency="PLN"),
    "measure_by_quarter": lambda: charts.measure_by_quarter(series(), label=LONG[1], unit="share"),
    "ramp_curve": lambda: charts.ramp_curve(ramp(*LONG)),
}
TINY: dict[str, Draw] = {
    "funnel": lambda: charts.funnel(pd.DataFrame({"stage": ["only"], "deals": [1]})),
    "pipeline_age": lambda: charts.pipeline_age(pd.Series([5.0]), slowest_close_days=138),
    "pipeline_age, nothing closed": lambda: charts.pipeline_age(pd.Series([0.0]), slowest_close_days=np.nan),
    "bookings_by_quarter": lambda: charts.bookings_by_quarter(quarters(1)),
    "win_rates": lambda: charts.win_rates(rates(("Żaneta",)), group_label="rep", team_rate=0.5),
    "measure_by_quarter": lambda: charts.measure_by_quarter(series(1), label="Win rate", unit="share"),
    "attainment_distribution": lambda: charts.attainment_distribution([0.3, 0.7]),
    "quota_tradeoff": lambda: charts.quota_tradeoff(curve().head(1), recommended_quota=60_000),
    "attainment_by_rep": lambda: charts.attainment_by_rep(outlook(("Щука",))),
    "bookings_forecast": lambda: charts.bookings_forecast(bookings().iloc[[60]]),
    "capacity_ramp": lambda: charts.capacity_ramp(weeks(1)),
    "ramp_curve": lambda: charts.ramp_curve(ramp("AE").head(1)),
}
EMPTY: dict[str, tuple[Draw, str]] = {
    "funnel": (lambda: charts.funnel(stages().head(0)), "No deal is open"),
    "funnel, none open": (lambda: charts.funnel(stages().assign(deals=0)), "No deal is open"),
    "pipeline_age": (
        lambda: charts.pipeline_age(pd.Series(dtype=float), slowest_close_days=9),
        "No open deal",
    ),
    "bookings_by_quarter": (lambda: charts.bookings_by_quarter(quarters(0)), "No deal has been won yet"),
    "win_rates": (
        lambda: charts.win_rates(rates(("a", "b")).assign(value=np.nan), group_label="rep", team_rate=0.5),
        "No rep has closed a deal",
    ),
    "measure_by_quarter": (
        lambda: charts.measure_by_quarter(
            series(1).assign(value=np.nan, note="the export has no quotas"), label="Attainment", unit="share"
        ),
        "Attainment is not known: the export has no quotas",
    ),
    "attainment_distribution": (lambda: charts.attainment_distribution([1.0]), "No rep has a quota"),
    "quota_tradeoff": (
        lambda: charts.quota_tradeoff(curve().head(0), recommended_quota=1),
        "No quota has been scored",
    ),
    "attainment_by_rep": (
        lambda: charts.attainment_by_rep(outlook(("a",)).assign(quota=0.0)),
        "No rep has a quota",
    ),
    "bookings_forecast": (lambda: charts.bookings_forecast(bookings().head(0)), "No bookings"),
    "capacity_ramp": (lambda: charts.capacity_ramp(weeks(0)), "Nobody is on the payroll"),
    "ramp_curve": (lambda: charts.ramp_curve(ramp("AE").head(0)), "No ramp is defined"),
}


def figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def words(ax: Axes) -> list[Text]:
    """Every text of a picture but tick labels."""
    figure = figure_of(ax)
    heads = [*figure.texts, ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label]
    shown = [*heads, *ax.texts]
    return [text for text in shown if text.get_visible() and text.get_text().strip()]


ALL = [
    *(pytest.param(draw, id=f"normal: {name}") for name, draw in NORMAL.items()),
    *(pytest.param(draw, id=f"long names: {name}") for name, draw in LONG_NAMES.items()),
    *(pytest.param(draw, id=f"tiny: {name}") for name, draw in TINY.items()),
    *(pytest.param(draw, id=f"empty: {name}") for name, (draw, _) in EMPTY.items()),
]


# --- drawing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ALL)
def test_charts_draw_without_warnings_and_inside_their_figure(draw: Draw) -> None:
    ax = draw()
    figure = figure_of(ax)
    figure.canvas.draw()
    whole = figure.bbox
    # axes with ticks, labels and whatever stands beside them
    drawn = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    for box in [drawn, *(text.get_window_extent() for text in words(ax))]:
        assert box.x0 >= whole.x0 - 1
        assert box.y0 >= whole.y0 - 1
        assert box.x1 <= whole.x1 + 1
        assert box.y1 <= whole.y1 + 1
    # a picture cut to what it shows, as notebooks cut it, keeps every text
    for text in words(ax):
        box = text.get_window_extent()
        assert drawn.x0 - 1 <= box.x0 <= box.x1 <= drawn.x1 + 1
        assert drawn.y0 - 1 <= box.y0 <= box.y1 <= drawn.y1 + 1
    assert ax.get_label()


@pytest.mark.parametrize(
    "draw", [pytest.param(draw, id=name) for name, draw in (NORMAL | LONG_NAMES).items()]
)
def test_no_text_lies_over_another(draw: Draw) -> None:
    ax = draw()
    figure_of(ax).canvas.draw()
    texts = words(ax)
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        ticks = (
            [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            if axis.get_visible()
            else []
        )
        texts += [tick.label1 for tick in ticks if tick.label1.get_text()]
    for one, other in itertools.combinations(texts, 2):
        shared = one.get_window_extent().padded(-1), other.get_window_extent().padded(-1)
        assert not shared[0].overlaps(shared[1]), (one.get_text(), other.get_text())


@pytest.mark.parametrize(("draw", "message"), [pytest.param(*pair, id=name) for name, pair in EMPTY.items()])
def test_nothing_to_draw_is_said_in_the_picture(draw: Draw, message: str) -> None:
    ax = draw()
    assert ax.texts[0].get_text().replace("\n", " ").startswith(message)
    assert ax.get_label().startswith(message)


@pytest.mark.parametrize("name", NORMAL)
def test_the_same_data_give_the_same_svg(name: str, tmp_path: Path) -> None:
    first, second = (charts.save(NORMAL[name](), path=tmp_path / f"{k}.svg").read_bytes() for k in (1, 2))
    assert first == second
    assert b"<text" not in first  # letters are outlines: the same where the font is not installed


def test_pictures_can_be_saved_in_other_formats(tmp_path: Path) -> None:
    ax = NORMAL["funnel"]()
    assert charts.save(ax, path=tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_a_chart_draws_on_axes_of_another_figure_in_the_same_look() -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    assert charts.funnel(stages(), currency="EUR", ax=left) is left
    assert charts.attainment_distribution(pmf(12), ax=right) is right
    figure.canvas.draw()
    title = " ".join(left.get_title(loc="left").split())  # lines are broken to the width of the axes
    assert title.startswith("‘cold lead’ holds 50 % of 60 open deals")
    for text in [left._left_title, left.yaxis.label, *left.get_yticklabels(), *right.get_xticklabels()]:
        assert text.get_fontfamily()[0] == style.FONT
    apart = [ax.get_tightbbox(figure.canvas.get_renderer()) for ax in (left, right)]
    assert apart[0].x1 <= apart[1].x0 + 1


def test_a_title_replaces_the_finding() -> None:
    ax = charts.funnel(stages(), title="Our own words")
    assert ax.get_label() == "Our own words"
    assert figure_of(ax).texts[0].get_text() == "Our own words"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[ElementTree.Element]:
    """The pictures of a notebook in which the first chart is the first to need matplotlib."""
    draw = "charts.funnel(rows, title={!r});"
    cells = (
        "import pandas as pd\nfrom salessim import charts\n"
        "rows = pd.DataFrame({'stage': ['warm', 'cold'], 'deals': [3, 1]})",
        "%config InlineBackend.figure_formats = ['svg']\n"
        "%config InlineBackend.rc = {'svg.fonttype': 'none'}",  # letters as text, to be found
        draw.format("The first finding"),
        draw.format("The second finding"),
        "%config InlineBackend.print_figure_kwargs = {'bbox_inches': None}\n"
        + draw.format("The third finding"),
    )
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    settings = {"IPYTHONDIR": str(tmp_path_factory.mktemp("ipython"))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the machinery of kernels
        NotebookClient(notebook, timeout=120).execute(
            env={name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | settings
        )
    return [
        ElementTree.fromstring(output["data"]["image/svg+xml"])
        for cell in notebook.cells
        for output in cell.outputs
        if "image/svg+xml" in output.get("data", {})
    ]


def test_a_notebook_shows_every_chart_with_its_title(shown: list[ElementTree.Element]) -> None:
    heads = []
    for picture in shown:
        _, _, wide, high = (float(number) for number in picture.attrib["viewBox"].split())
        texts = {"".join(each.itertext()).strip(): each for each in picture.iter(f"{SVG}text")}
        heads.append(next(text for text in texts if text.startswith("The ")))
        head = texts[heads[-1]]
        # of a rotated or moved text the place is in `transform`, else in x and y
        placed = re.search(r"translate\(([-\d.]+) ([-\d.]+)\)", head.get("transform", ""))
        x, y = (float(part) for part in (placed.groups() if placed else (head.attrib["x"], head.attrib["y"])))
        assert 0 < x < wide / 4
        assert 8 < y < high / 4  # the base line lies a letter below the upper edge
    assert heads == ["The first finding", "The second finding", "The third finding"]


def test_charts_leave_the_style_of_the_session_alone_until_asked() -> None:
    before = dict(mpl.rcParams)
    NORMAL["funnel"]()
    assert dict(mpl.rcParams) == before
    charts.use_style()
    assert mpl.rcParams["font.family"][0] == style.FONT
    assert mpl.rcParams["svg.hashsalt"] == "salessim"


def test_the_font_has_polish_and_cyrillic_letters_and_is_found_silently(
    caplog: pytest.LogCaptureFixture,
) -> None:
    charts.use_style()
    for weight in ("normal", "semibold"):
        font = get_font(findfont(FontProperties(family=style.FONT, weight=weight), fallback_to_default=False))
        assert font.family_name == style.FONT
        known = font.get_charmap()
        assert [letter for letter in LETTERS if ord(letter) not in known] == []
    with caplog.at_level(logging.DEBUG):
        findfont(FontProperties(family="No Such Font"))
    assert not [record for record in caplog.records if record.levelno < logging.ERROR]


# --- findings ----------------------------------------------------------------------------------------------


def test_funnel_states_where_the_deals_are_and_what_they_are_worth() -> None:
    assert NORMAL["funnel"]().get_label() == (
        "‘cold lead’ holds 50 % of 60 open deals; together they are worth EUR 1.50m, "
        "weighted by their chance EUR 240k"
    )
    ax = charts.funnel(stages().drop(columns="weighted_value"), currency="XXX")
    assert ax.get_label().endswith("together they are worth 1.50m")
    assert ax.texts[0].get_text() == "30 deals · 750k"
    partly = stages().assign(weighted_value=[np.nan, 4e4, 4e4])
    assert (
        charts.funnel(partly, currency="EUR")
        .get_label()
        .endswith("weighted by their chance, where it is known, EUR 80k")
    )


def test_pipeline_age_counts_the_dead() -> None:
    ax = NORMAL["pipeline_age"]()
    assert ax.get_label() == (
        "33 % of the open pipeline is dead: 99 of 300 open deals are older than any deal that ever closed "
        "(200 days)"
    )
    heights: dict[str, float] = {}
    for bar in ax.patches:
        colour = to_hex(bar.get_facecolor(), keep_alpha=False).upper()
        heights[colour] = heights.get(colour, 0) + bar.get_height()
    assert heights == {style.BLUE: 201, style.ORANGE: 99}
    rare = charts.pipeline_age(pd.Series([*range(500), 999.0]), slowest_close_days=600)
    assert rare.get_label().startswith("0.2 % of the open pipeline is dead: 1 of 501 open deals is older")
    assert charts.pipeline_age(pd.Series([3.0, 4.0]), slowest_close_days=9).get_label() == (
        "None of 2 open deals is older than the slowest close on record (9 days)"
    )


def test_bookings_compare_complete_quarters_and_mark_the_others() -> None:
    ax = charts.bookings_by_quarter(quarters(4, partial=(0, 3)), currency="EUR")
    assert ax.get_label() == "Won value rose 5 % to EUR 1.10m in 2025Q3, from 42 deals"
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [True, False, False, True]
    assert ["incomplete data" in text.get_text() for text in ax.texts] == [True, False, False, True]
    falling = quarters(2, partial=()).assign(won_value=[2e6, 1e6])
    assert (
        charts.bookings_by_quarter(falling).get_label()
        == "Won value fell 50 % to 1.00m in 2025Q2, from 41 deals"
    )
    level = quarters(2, partial=()).assign(won_value=1e6)
    assert charts.bookings_by_quarter(level).get_label().startswith("Won value held level at 1.00m in 2025Q2")
    alone = charts.bookings_by_quarter(quarters(1), currency="EUR")
    assert alone.get_label() == "40 deals won, worth EUR 1.00m in 2025Q1; no quarter is complete yet"


def test_win_rates_tell_difference_from_luck() -> None:
    ax = NORMAL["win_rates"]()
    frame = rates(THIRTY)
    differ = int(((frame["low"] > 0.5) | (frame["high"] < 0.5)).sum())
    assert (
        ax.get_label() == f"{differ} of 30 reps differ from the team’s 50 %; luck alone would make 6 look so"
    )
    alike = frame.assign(value=0.5, low=0.4, high=0.6)
    alike.loc[:3, ["value", "low", "high"]] = 0.7, 0.6, 0.8
    ax = charts.win_rates(alike, group_label="rep", team_rate=0.5)
    assert ax.get_label() == (
        "No sign that reps differ in win rate: 4 of 30 lie outside the team’s 50 %, "
        "and luck alone would make 6 look so"
    )
    colours = [to_hex(colour).upper() for colour in ax.collections[-1].get_facecolors()]
    assert colours.count(style.BLUE) == 4
    assert colours.count(style.ORANGE) == 0
    same = charts.win_rates(alike.tail(9), group_label="rep", team_rate=0.5)
    assert same.get_label() == "No rep differs from the team’s 50 % by more than luck explains"


def test_measure_by_quarter_compares_complete_quarters_and_says_when_it_may_be_luck() -> None:
    draw = charts.measure_by_quarter
    assert draw(series(), label="Win rate", unit="share").get_label() == (
        "Win rate was 50.0 % in 2025Q4 against 46.7 % in 2025Q3, a change that luck can explain"
    )
    sure = series().assign(low=lambda rows: rows["value"] - 0.01, high=lambda rows: rows["value"] + 0.01)
    assert draw(sure, label="Win rate", unit="share").get_label() == (
        "Win rate rose to 50.0 % in 2025Q4 from 46.7 % in 2025Q3, more than luck explains"
    )
    money = series().assign(value=[9e5, 1e6, 1e6, 8e5], low=np.nan, high=np.nan)
    ax = draw(money, label="Won value", unit="money", currency="EUR")
    assert ax.get_label() == "Won value fell 20 % to EUR 800k in 2025Q4"
    assert ax.texts[0].get_text() == "900k\nincomplete data"
    assert (
        draw(series(2), label="Win rate", unit="share")
        .get_label()
        .endswith("no earlier quarter to compare with")
    )
    assert draw(series(1), label="Win rate", unit="share").get_label().endswith("data are incomplete")


def test_attainment_distribution_gives_the_probability_of_the_band() -> None:
    law = pmf(30)
    ax = charts.attainment_distribution(law)
    probability = law[18:23].sum()  # 18/30 is 60 %, 22/30 is 73 %
    assert ax.get_label() == (
        f"The share attaining lands in 60–75 % with probability {probability:.0%}; expected 67 %".replace(
            "%;", " %;"
        )
    )
    coloured = [to_hex(bar.get_facecolor()).upper() == style.BLUE for bar in ax.patches[:31]]
    assert [k for k, blue in enumerate(coloured) if blue] == [18, 19, 20, 21, 22]
    assert TINY["attainment_distribution"]().get_label() == (
        "With 1 rep no outcome lies in 60–75 %; the expected share attaining is 70 %"
    )
    assert "over 99 %" in charts.attainment_distribution(pmf(400), band=(0.5, 0.8)).get_label()


def test_quota_tradeoff_reads_the_curve_at_the_recommended_quota() -> None:
    points = curve()
    at = np.interp(102_182, points["quota"], points["probability_band"])
    ax = NORMAL["quota_tradeoff"]()
    assert ax.get_label() == (
        "At a quota of USD 102k, 67 % of reps attain; the share lands in 60–75 % with probability "
        f"{at * 100:.0f} %"
    )
    labels = {text.get_text() for text in ax.texts}
    assert {"share of reps attaining", "chance of 60–75 %", "chance to book the sum of quotas"} <= labels
    assert "chance to book the sum of quotas" not in {
        text.get_text() for text in NORMAL["quota_tradeoff, no sum"]().texts
    }
    with pytest.raises(ParameterError, match="200000; the curve covers 60000 to 160000"):
        charts.quota_tradeoff(points, recommended_quota=200_000)


def test_attainment_by_rep_names_those_behind_and_leaves_out_who_has_no_quota() -> None:
    frame = outlook(("Ada", "Bo", "Cy", "Di", "Ed"))
    ax = charts.attainment_by_rep(frame, currency="EUR")
    assert (
        ax.get_label() == "2 of 5 reps have less than an even chance of making quota: Ada (10 %), Bo (30 %)"
    )
    frame.loc[0, "quota"] = 0.0
    ax = charts.attainment_by_rep(frame)
    assert ax.get_label() == "1 of 4 reps has less than an even chance of making quota: Bo (30 %)"
    assert any("1 without a quota left out" in text.get_text() for text in words(ax))
    assert (
        charts.attainment_by_rep(frame.tail(3)).get_label()
        == "All 3 reps have at least an even chance of making quota"
    )
    dots = ax.collections[-1].get_offsets()
    assert np.asarray(dots)[:, 0] == pytest.approx((frame["p50"] / frame["quota"])[1:])


def test_bookings_forecast_gives_quantiles_and_the_chance_of_the_plan() -> None:
    assert NORMAL["bookings_forecast"]().get_label() == (
        "The team books the plan of EUR 3.10m with probability 39 %; even odds for EUR 3.00m"
    )
    ax = NORMAL["bookings_forecast, no plan"]()
    assert ax.get_label() == (
        "Bookings land between EUR 2.55m and EUR 3.45m with probability 80 %; even odds for EUR 3.00m"
    )
    assert [text.get_text() for text in ax.texts] == ["P10  EUR 2.55m", "P50  EUR 3.00m", "P90  EUR 3.45m"]
    assert "under 1 % " in NORMAL["bookings_forecast, hard plan"]().texts[-1].get_text()
    with pytest.raises(ParameterError, match="plan is 9e\\+06; the forecast covers"):
        charts.bookings_forecast(bookings().head(60), plan=9e6)


def test_capacity_ramp_names_the_worst_quarter_and_the_month_of_full_capacity() -> None:
    frame = weeks()
    quarter = frame[frame["week"] < "2026-10-01"]
    carried, sellers = quarter["productive"].mean(), quarter["headcount"].mean()
    assert charts.capacity_ramp(frame).get_label() == (
        f"On average {sellers:.1f} sellers on the payroll carry the capacity of {carried:.1f} "
        "in 2026Q3; full capacity in March 2027"
    )
    assert charts.capacity_ramp(frame, fiscal_year_starts_in_month=7).get_label().count("2027Q1") == 1
    assert charts.capacity_ramp(frame.head(20)).get_label().endswith("capacity is not full by November 2026")
    full = frame.tail(4)
    assert charts.capacity_ramp(full).get_label() == "All 12 sellers are at full capacity in every week"
    growing = full.assign(headcount=[10, 10, 11, 12], productive=[10, 10, 11, 12])
    assert charts.capacity_ramp(growing).get_label().startswith("All 10 to 12 sellers are")


def test_ramp_curve_states_the_month_of_full_productivity() -> None:
    assert NORMAL["ramp_curve"]().get_label() == (
        "A newcomer is fully productive in month 3; the first 2 months yield as much as 1 full one"
    )
    assert NORMAL["ramp_curve, roles"]().get_label() == (
        "Full productivity comes in month 3 (SDR) to 11 (Enterprise AE)"
    )
    steep = ramp("AE").assign(productivity=lambda rows: np.where(rows["month_of_tenure"] > 1, 0.96, 0.4))
    assert charts.ramp_curve(steep).get_label() == (
        "A newcomer is fully productive in month 2; the first month yields 40 % of a full one"
    )
    late = charts.ramp_curve(ramp("a", "b", "c", "d"))
    assert late.get_label().endswith("not within the months shown: d")
    assert TINY["ramp_curve"]().get_label() == "A newcomer reaches 33 % of a full rep by month 1"


# --- real data ---------------------------------------------------------------------------------------------


def test_maven_charts_state_the_figures_of_the_export(real_data: Path) -> None:
    tables = crm.read(real_data / "maven_crm")
    quarter = Quarter(2017, 3)
    assert charts.bookings_by_quarter(measures.bookings_by_quarter(tables), currency="USD").get_label() == (
        "Won value fell 3 % to USD 2.98m in 2017Q3, from 1,257 deals"
    )
    slowest = measures.slowest_close_days(tables)
    assert charts.pipeline_age(measures.open_ages_days(tables), slowest_close_days=slowest).get_label() == (
        "22 % of the open pipeline is dead: 530 of 2,409 open deals are older than any deal that ever closed "
        "(138 days)"
    )
    stage = charts.funnel(measures.pipeline_by_stage(tables), currency="USD").get_label()
    assert stage.startswith("‘Engaging’ holds 83 % of 2,909 open deals")
    reps = measures.measure("win_rate_closed", tables, quarter=quarter, by="rep")
    team = float(measures.measure("win_rate_closed", tables, quarter=quarter)["value"].iloc[0])
    assert charts.win_rates(reps, group_label="rep", team_rate=team).get_label() == (
        "No sign that reps differ in win rate: 4 of 30 lie outside the team’s 61 %, "
        "and luck alone would make 6 look so"
    )
    by_quarter = measures.measure("win_rate_closed", tables, by="quarter")
    ax = charts.measure_by_quarter(by_quarter, label="Win rate", unit="share")
    assert ax.texts[0].get_text() == "82.1 %\nincomplete data"

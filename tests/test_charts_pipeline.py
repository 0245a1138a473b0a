"""Charts of the pipeline chapter beyond the funnel: win rates, stages, cohorts, concentration, dead deals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from salessim import charts

RATES = pd.DataFrame(
    {
        "label": ["Win rate of deals created", "Win rate of deals closed", "Win rate by value"],
        "formula": ["won ÷ created", "won ÷ closed", "by value"],
        "value": [0.27, 0.5, math.nan],
        "low": [0.22, 0.44, math.nan],
        "high": [0.32, 0.56, math.nan],
        "n": [131, 122, 61],
    }
)
CURVES = pd.DataFrame(
    {
        "stage": ["cold"] * 4 + ["warm"] * 3,
        "days": [0.0, 7, 20, 40, 0, 10, 30],
        "still_there": [1, 0.5, 0.2, 0.0, 1, 0.8, 0.6],
        "low": [1, 0.4, 0.1, 0.0, 1, 0.7, 0.5],
        "high": [1, 0.6, 0.3, 0.1, 1, 0.9, 0.7],
    }
)
COHORTS = pd.DataFrame(
    {
        "month": ["2026-01", "2026-02", "2026-03"],
        "leads": [200, 100, 210],
        "won": [6, 3, 1],
        "lead_to_won": [0.03, 0.03, 0.005],
        "lead_to_won_low": [0.02, 0.02, 0.001],
        "lead_to_won_high": [0.05, 0.05, 0.012],
        "finished": [True, True, False],
    }
)
LARGEST = pd.DataFrame(
    {
        "which": ["open"] * 6 + ["won"] * 2,
        "rank": [*range(1, 7), 1, 2],
        "share": [0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 0.6, 1.0],
        "effective": [4.2] * 6 + [1.9] * 2,
    }
)
ALL: dict[str, tuple[Callable[..., Axes], pd.DataFrame]] = {
    "rates": (charts.win_rate_definitions, RATES),
    "curves": (charts.stage_survival, CURVES),
    "cohorts": (charts.lead_cohorts, COHORTS),
    "largest": (charts.deal_concentration, LARGEST),
}


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def test_titles_state_the_finding() -> None:
    titles = {name: draw(frame).get_label() for name, (draw, frame) in ALL.items()}
    assert titles == {
        "rates": "The win rate is 27 % or 50 %, depending on what is counted",
        "curves": "Half of the deals leave ‘cold’ within 7 days; fewer than half have left ‘warm’",
        "cohorts": "3.0 % of the leads of settled months were won; "
        "1 month is not settled yet and still rises",
        "largest": "The 5 largest deals hold 90 % of the open value, "
        "which is spread as if over 4.2 deals of equal size",
    }


@pytest.mark.parametrize("name", list(ALL))
def test_a_title_of_ones_own_axes_of_ones_own_and_nothing_to_show(name: str) -> None:
    draw, frame = ALL[name]
    _, axes = plt.subplots()
    assert draw(frame, ax=axes, title="Mine") is axes
    assert axes.get_label() == "Mine"
    nothing = draw(frame.iloc[:0])
    assert not nothing.axison
    assert nothing.get_label()


def test_win_rates_that_agree_are_told_as_one() -> None:
    same = charts.win_rate_definitions(RATES.assign(value=0.5)).get_label()
    assert same == "The win rate is 50 %, whatever is counted"
    near = charts.win_rate_definitions(RATES.assign(value=[0.5, 0.52, 0.53])).get_label()
    assert near == "The win rate is 50 % to 52 %, whatever is counted"


def test_cohorts_of_which_none_is_settled() -> None:
    young = charts.lead_cohorts(COHORTS.assign(finished=False))
    assert young.get_label() == "No month is settled yet: all its leads can still be won"
    hollow = [points for points in young.collections if len(points.get_offsets())][-1]
    assert len(hollow.get_offsets()) == 3


def test_both_limits_of_dead_pipeline() -> None:
    ages = pd.Series(np.arange(300.0))
    ax = charts.pipeline_age(ages, slowest_close_days=200, nearly_all_days=150)
    assert ax.get_label().endswith("(200 days), 149 older than 99 % of them")
    assert any("99 % of the closes: 150 days" in text.get_text() for text in ax.texts)
    alone = charts.pipeline_age(ages, slowest_close_days=200, nearly_all_days=200)
    assert alone.get_label().endswith("(200 days)")

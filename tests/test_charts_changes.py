"""The bridge of a week as a picture: what its title states, and that any week is drawn within its figure."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.text import Text

from salessim.charts.changes import pipeline_bridge
from salessim.charts.style import BLUE, GREEN, ORANGE, figure_of
from salessim.crm.changes import BRIDGE_STEPS


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ResourceWarning)
        yield


def bridge(*values: float, without_amount: int = 0) -> pd.DataFrame:
    """The values of the steps between, after that of the start; a deal for each step that has a value."""
    rows = [(step, value, 1 if value else 0) for step, value in zip(BRIDGE_STEPS, values, strict=False)]
    rows.append(("end", sum(values), 3))
    return pd.DataFrame(rows, columns=["step", "value", "deals"]).assign(without_amount=without_amount)


WEEKS = {
    "all kinds": bridge(2.1e6, 3.2e5, 4e4, -6.1e4, -2.5e5, -3.1e5, -2.2e4, without_amount=12),
    "hardly anything": bridge(2.1e6, 0, 0, 1e3, 0, -3e3, 0),
    "from nothing": bridge(0, 3.2e4, 0, 0, 0, 0, 0),
    "to nothing": bridge(5e5, 0, 0, 0, -5e5, 0, 0),
    "all the same": bridge(5e5, 0, 0, 0, 0, 0, 0),
    "no amounts": bridge(0, 0, 0, 0, 0, 0, 0, without_amount=3),
}


@pytest.mark.parametrize("week", WEEKS)
@pytest.mark.parametrize("own", [True, False], ids=["own figure", "axes of a grid"])
def test_any_week_is_drawn_within_its_figure_and_no_label_covers_another(week: str, own: bool) -> None:
    ax = pipeline_bridge(
        WEEKS[week], currency="EUR", ax=None if own else plt.subplots(1, 2, figsize=(13, 4))[1][0]
    )
    figure = figure_of(ax)
    figure.canvas.draw()
    texts = [text for text in ax.findobj(Text) if text.get_text() and text.get_visible()]
    texts = [text for text in texts if text.axes is not None and text is not ax.xaxis.get_offset_text()]
    boxes = [
        (text.get_text(), text.get_window_extent()) for text in texts if text.get_text() != ax.get_ylabel()
    ]
    for first, second in itertools.combinations(boxes, 2):
        assert not first[1].overlaps(second[1]), (first[0], second[0])
    if own:
        wide, high = figure.bbox.size
        for name, box in boxes:
            assert box.x0 >= -1, name
            assert box.x1 <= wide + 1, name
            assert box.y0 >= -1, name
            assert box.y1 <= high + 1, name


def shown(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_the_title_states_what_the_week_did() -> None:
    ax = pipeline_bridge(WEEKS["all kinds"], currency="EUR")
    assert ax.get_label() == (
        "The open pipeline fell 13 % to EUR 1.82m: 360k came in, 250k was won, 310k was lost and 22k vanished"
    )
    assert shown(ax) == ["EUR 2.10m", "+320k", "+40k", "−61k", "−250k", "−310k", "−22k", "EUR 1.82m"]
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == [
        "at the start · 1 deal",
        "new · 1 deal",
    ]
    assert "12 open deals without an amount count as 0" in " ".join(t.get_text() for t in figure_of(ax).texts)
    assert pipeline_bridge(WEEKS["all the same"]).get_label() == "The open pipeline held level at 500k"
    assert pipeline_bridge(WEEKS["from nothing"]).get_label() == "The open pipeline came to 32k: 32k came in"
    assert pipeline_bridge(WEEKS["all kinds"], title="Our week").get_label() == "Our week"


def test_bars_span_from_level_to_level_in_the_colour_of_what_they_mean() -> None:
    ax = pipeline_bridge(WEEKS["all kinds"])
    spans = [(round(bar.get_x()), round(bar.get_x() + bar.get_width())) for bar in ax.patches]
    levels = list(itertools.accumulate(WEEKS["all kinds"]["value"][:-1]))
    assert spans == [(round(a), round(b)) for a, b in itertools.pairwise(levels)]
    assert [to_hex(bar.get_facecolor()).upper() for bar in ax.patches] == [
        BLUE, BLUE, ORANGE, GREEN, ORANGE, ORANGE,
    ]  # fmt: skip


def test_steps_at_which_nothing_happened_are_left_out() -> None:
    ax = pipeline_bridge(WEEKS["hardly anything"])
    assert [label.get_text().split(" · ")[0] for label in ax.get_yticklabels()] == [
        "at the start", "resized", "lost", "at the end",
    ]  # fmt: skip
    empty = bridge(0, 0, 0, 0, 0, 0, 0).assign(deals=0)
    assert pipeline_bridge(empty).get_label() == "No deal was open, neither at the start nor at the end"

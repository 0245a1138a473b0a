"""Charts for the board: one function per chart, from a small table to one picture that states a finding.

The title says what the numbers show, computed from them; ``title=`` replaces it. What is drawn is labelled
where it is drawn, without legends. ``ax.get_label()`` is the finding, for use as the text of a page or as
the description of a picture.

Every function draws on its own figure of half a slide, or on ``ax``, which is cleared. Tables without
anything to draw give a picture that says so. Money is in the currency that is passed; ``"XXX"`` (ISO 4217:
no currency) is not written.
"""

from __future__ import annotations

from salessim.charts.calibration import (
    deal_sizes,
    demand_by_quarter,
    past_ranges,
    ramp_evidence,
    skills_by_rep,
)
from salessim.charts.capacity import (
    bookings_under_limit,
    capacity_in_use,
    leads_needed,
    lever_spread,
    lever_tornado,
    needed_and_there,
)
from salessim.charts.changes import pipeline_bridge
from salessim.charts.pay import earnings_curve, pay_cost_range
from salessim.charts.pipeline import (
    bookings_forecast,
    deal_concentration,
    funnel,
    lead_cohorts,
    lead_funnel,
    pipeline_age,
    stage_survival,
    win_rate_definitions,
)
from salessim.charts.quality import contracts_by_group, value_touched
from salessim.charts.quota import attainment_by_rep, attainment_distribution, quota_gap, quota_tradeoff
from salessim.charts.requalification import criteria_changes, requalified_pipeline
from salessim.charts.results import bookings_by_quarter, measure_by_quarter, win_rates
from salessim.charts.rules import attainment_history, attainment_strip, rule_laboratory, variance_split
from salessim.charts.structures import (
    qualification_value,
    recurring_revenue,
    structure_bookings,
    structure_bottlenecks,
)
from salessim.charts.style import save, use_style
from salessim.charts.team import capacity_ramp, ramp_curve

__all__ = [
    "attainment_by_rep",
    "attainment_distribution",
    "attainment_history",
    "attainment_strip",
    "bookings_by_quarter",
    "bookings_forecast",
    "bookings_under_limit",
    "capacity_in_use",
    "capacity_ramp",
    "contracts_by_group",
    "criteria_changes",
    "deal_concentration",
    "deal_sizes",
    "demand_by_quarter",
    "earnings_curve",
    "funnel",
    "lead_cohorts",
    "lead_funnel",
    "leads_needed",
    "lever_spread",
    "lever_tornado",
    "measure_by_quarter",
    "needed_and_there",
    "past_ranges",
    "pay_cost_range",
    "pipeline_age",
    "pipeline_bridge",
    "qualification_value",
    "quota_gap",
    "quota_tradeoff",
    "ramp_curve",
    "ramp_evidence",
    "recurring_revenue",
    "requalified_pipeline",
    "rule_laboratory",
    "save",
    "skills_by_rep",
    "stage_survival",
    "structure_bookings",
    "structure_bottlenecks",
    "use_style",
    "value_touched",
    "variance_split",
    "win_rate_definitions",
    "win_rates",
]

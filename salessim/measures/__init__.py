"""The catalogue of sales measures: each is defined once, in words and as a function, with how sure it is.

One entry of :data:`CATALOGUE` feeds tables, charts, the report, the glossary and the slide. ``[A7]`` and its
like name the rule of the field that an entry carries.

A measure is one block in the module of its theme (``deals``, ``pipeline``, ``funnel``, ``concentration``,
``attainment``) and, where no building block fits, one function beside it, from a
:class:`~salessim.measures.selection.Selection` (which deals, which period, cut by what) to one row per group.

How sure: shares carry Wilson's interval, means Student's t, medians order statistics, all at
:data:`LEVEL` (P10 to P90). Counts and sums are facts: they have no interval, ``low`` and ``high`` are NaN.
Nothing here is random.
"""

from __future__ import annotations

from salessim.measures.catalogue import CATALOGUE, glossary, measure, overview, overview_table
from salessim.measures.coverage import INCOMPLETE, LeftCut, available_quarters, check_quarter, left_cut
from salessim.measures.deals import bookings_by_quarter
from salessim.measures.definitions import amount_won, conversion, pipeline_value, win_rate
from salessim.measures.entry import Measure
from salessim.measures.estimates import LEVEL, Estimate, mean_estimate, median_estimate, share_estimate
from salessim.measures.pipeline import open_ages_days, pipeline_by_stage, slowest_close_days
from salessim.measures.selection import BY, NOT_STATED
from salessim.measures.stage_norms import Bottleneck, StageNorm, bottleneck

__all__ = [
    "BY",
    "CATALOGUE",
    "INCOMPLETE",
    "LEVEL",
    "NOT_STATED",
    "Bottleneck",
    "Estimate",
    "LeftCut",
    "Measure",
    "StageNorm",
    "amount_won",
    "available_quarters",
    "bookings_by_quarter",
    "bottleneck",
    "check_quarter",
    "conversion",
    "glossary",
    "left_cut",
    "mean_estimate",
    "measure",
    "median_estimate",
    "open_ages_days",
    "overview",
    "overview_table",
    "pipeline_by_stage",
    "pipeline_value",
    "share_estimate",
    "slowest_close_days",
    "win_rate",
]

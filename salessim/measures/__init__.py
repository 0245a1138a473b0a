"""The catalogue of sales measures: each is defined once, in words and as a function, with how sure it is.

One entry of :data:`CATALOGUE` feeds tables, charts, the report, the glossary and the slide. ``[A7]`` and its
like name the rule of the field that an entry carries.

A measure is one block in the module of its theme (``deals``, ``pipeline``, ``funnel``, ``concentration``,
``attainment``) and, where no building block fits, one function beside it, from a
:class:`~salessim.measures.selection.Selection` (which deals, which period, cut by what) to one row per group.

How sure: shares carry Wilson's interval, means and medians that of a bootstrap worked out (``estimates``; the
deal size weighted by segment Welch's), stages that of censored times (``survival``), all at :data:`LEVEL`
(P10 to P90). Counts and sums are facts: they have no interval, ``low`` and ``high`` are NaN. Nothing here is
random.

Beside the catalogue: :func:`win_rates` (the definitions side by side), :func:`stage_times` and
:func:`bottleneck` (with its cost), :func:`lead_cohorts`, :func:`slipped_deals`, :func:`dead_pipeline`, and
:func:`field_benchmarks` (what the field reports, graded).
"""

from __future__ import annotations

from salessim.measures.catalogue import CATALOGUE, glossary, measure, overview, overview_table
from salessim.measures.cohorts import lead_cohorts
from salessim.measures.coverage import INCOMPLETE, LeftCut, available_quarters, check_quarter, left_cut
from salessim.measures.deals import bookings_by_quarter
from salessim.measures.definitions import amount_won, conversion, pipeline_value, win_rate
from salessim.measures.entry import Measure
from salessim.measures.estimates import LEVEL, Estimate, mean_estimate, median_estimate, share_estimate
from salessim.measures.field import FieldBenchmark, FieldRange, field_benchmarks, field_ranges
from salessim.measures.pipeline import (
    close_days,
    dead_pipeline,
    open_ages_days,
    pipeline_by_stage,
    slipped_deals,
    slowest_close_days,
)
from salessim.measures.rates import WinRates, win_rates
from salessim.measures.selection import BY, NOT_STATED
from salessim.measures.stage_norms import Bottleneck, StageNorm, bottleneck, stage_gaps
from salessim.measures.stages import stage_survival, stage_times

__all__ = [
    "BY",
    "CATALOGUE",
    "INCOMPLETE",
    "LEVEL",
    "NOT_STATED",
    "Bottleneck",
    "Estimate",
    "FieldBenchmark",
    "FieldRange",
    "LeftCut",
    "Measure",
    "StageNorm",
    "WinRates",
    "amount_won",
    "available_quarters",
    "bookings_by_quarter",
    "bottleneck",
    "check_quarter",
    "close_days",
    "conversion",
    "dead_pipeline",
    "field_benchmarks",
    "field_ranges",
    "glossary",
    "lead_cohorts",
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
    "slipped_deals",
    "slowest_close_days",
    "stage_gaps",
    "stage_survival",
    "stage_times",
    "win_rate",
    "win_rates",
]

"""Questions of a sales year, asked of the simulator."""

from __future__ import annotations

from salessim.studies.compare import Comparison, compare
from salessim.studies.customers import (
    REVENUE_FIGURES,
    RecurringRevenue,
    base_yield,
    cac_payback,
    payback_months,
    recurring_revenue,
)
from salessim.studies.demand import (
    NEW_LEADS,
    LeadPlan,
    MqlNorm,
    lead_plan,
    leads_to_hold,
    mql_norm,
    stage_norms,
)
from salessim.studies.hiring import HiringPlan, cost_of_delay, expected_capacity, hiring_plan
from salessim.studies.outcome_measures import OUTCOME_MEASURES, OutcomeMeasure, by_trial, expected
from salessim.studies.sensitivity import SENSITIVITY_LEVERS, SobolMeasure, sobol_indices, tornado
from salessim.studies.structures import (
    CAPACITY_FACTORS,
    StructureComparison,
    compare_structures,
    value_of_qualification,
)
from salessim.studies.sweep import Grid, sweep

__all__ = [
    "CAPACITY_FACTORS",
    "NEW_LEADS",
    "OUTCOME_MEASURES",
    "REVENUE_FIGURES",
    "SENSITIVITY_LEVERS",
    "Comparison",
    "Grid",
    "HiringPlan",
    "LeadPlan",
    "MqlNorm",
    "OutcomeMeasure",
    "RecurringRevenue",
    "SobolMeasure",
    "StructureComparison",
    "base_yield",
    "by_trial",
    "cac_payback",
    "compare",
    "compare_structures",
    "cost_of_delay",
    "expected",
    "expected_capacity",
    "hiring_plan",
    "lead_plan",
    "leads_to_hold",
    "mql_norm",
    "payback_months",
    "recurring_revenue",
    "sobol_indices",
    "stage_norms",
    "sweep",
    "tornado",
    "value_of_qualification",
]

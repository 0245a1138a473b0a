"""What a quarter's report says: findings in words and tables, made from measures, plans and outcomes.

Notebooks call :func:`prepare` and then show findings, tables and charts; they hold no logic of their own.
"""

from __future__ import annotations

from salessim.briefing.allocating import (
    allocated,
    allocation_text,
    from_plan_to_reps,
    quota_trace,
    reconciled,
)
from salessim.briefing.backtest import backtest, backtest_table
from salessim.briefing.fairness import (
    fairness,
    fairness_findings,
    fairness_table,
    luck_of_the_quarter,
    luck_sentence,
    measured_against,
)
from salessim.briefing.funnel import bottleneck_finding, lead_funnel, sources_table
from salessim.briefing.leads import (
    hold_by_rep,
    hold_findings,
    hold_table,
    lead_findings,
    lead_list,
    leads_by_month,
    leads_table,
    mql_findings,
    mql_table,
    stage_norms_table,
)
from salessim.briefing.levers import (
    lever_findings,
    lever_ranking,
    lever_shares,
    lever_shares_table,
    lever_table,
)
from salessim.briefing.onboarding import capacity, hiring, newcomer_quotas, onboarding_findings, ramps
from salessim.briefing.pay import (
    PayReport,
    earnings,
    ote,
    past_costs,
    pay_by_rep,
    pay_costs_frame,
    pay_findings,
    pay_plan_text,
    pay_table,
    pay_texts,
    pay_trace,
    pay_warnings,
    prepare_pay,
    quota_and_pay,
    shipped_pay_plans,
    tradeoff_with_pay,
)
from salessim.briefing.pipeline import (
    bookings_table,
    data_quality,
    forecast,
    forecast_table,
    measured,
    measures_table,
    measures_text,
    open_pipeline,
    pipeline_findings,
    team_bookings,
    team_win_rate,
    win_rates_by_rep,
)
from salessim.briefing.prepared import STEPS, Briefing, prepare, read_export
from salessim.briefing.quota import (
    assumptions,
    quota_findings,
    quota_list,
    quota_texts,
    quotas_by_quarter,
    robustness,
)
from salessim.briefing.quota_files import (
    AllocatedFile,
    ImportedQuotas,
    allocate_file,
    compare_quota_files,
    import_quotas,
)
from salessim.briefing.raising import (
    FALSE_ALARM,
    attainment_history,
    contrast_odds,
    contrast_of_the_quarter,
    judged_quarters,
    laboratory,
    laboratory_frame,
    laboratory_notes,
    laboratory_table,
    raise_findings,
    raise_rule,
    raise_table,
    rule_text,
)
from salessim.briefing.sales_year import (
    SalesYear,
    bookings_by_limit,
    capacity_used,
    delay_table,
    hire_findings,
    hire_table,
    limit_asked,
    limit_findings,
    limit_table,
    needed_by_quarter,
    sales_year,
    sales_year_of,
)
from salessim.briefing.solving import gap, gap_table, solved_text, ways, ways_table
from salessim.briefing.structures import (
    CustomersReport,
    QualificationReport,
    StructuresReport,
    base_table,
    bottleneck_findings,
    bottleneck_sentence,
    bottlenecks,
    bottlenecks_table,
    comparison_text,
    customers_findings,
    customers_table,
    grid_named,
    payback_table,
    prepare_customers,
    prepare_qualification,
    prepare_structures,
    qualification_findings,
    qualification_table,
    revenue_frame,
    scenario_named,
    simulation_text,
    structure_chapter_findings,
    structures_findings,
    structures_table,
    sweep_text,
    use_of_capacity,
)

__all__ = [
    "FALSE_ALARM",
    "STEPS",
    "AllocatedFile",
    "Briefing",
    "CustomersReport",
    "ImportedQuotas",
    "PayReport",
    "QualificationReport",
    "SalesYear",
    "StructuresReport",
    "allocate_file",
    "allocated",
    "allocation_text",
    "assumptions",
    "attainment_history",
    "backtest",
    "backtest_table",
    "base_table",
    "bookings_by_limit",
    "bookings_table",
    "bottleneck_finding",
    "bottleneck_findings",
    "bottleneck_sentence",
    "bottlenecks",
    "bottlenecks_table",
    "capacity",
    "capacity_findings",
    "capacity_used",
    "compare_quota_files",
    "comparison_text",
    "contrast_odds",
    "contrast_of_the_quarter",
    "customers_findings",
    "customers_table",
    "data_quality",
    "delay_table",
    "earnings",
    "fairness",
    "fairness_findings",
    "fairness_table",
    "forecast",
    "forecast_table",
    "from_plan_to_reps",
    "gap",
    "gap_table",
    "grid_named",
    "hire_findings",
    "hire_table",
    "hiring",
    "hold_by_rep",
    "hold_findings",
    "hold_table",
    "import_quotas",
    "judged_quarters",
    "key_findings",
    "laboratory",
    "laboratory_frame",
    "laboratory_notes",
    "laboratory_table",
    "lead_findings",
    "lead_funnel",
    "lead_list",
    "leads_by_month",
    "leads_table",
    "lever_findings",
    "lever_ranking",
    "lever_shares",
    "lever_shares_table",
    "lever_table",
    "limit_asked",
    "limit_findings",
    "limit_table",
    "luck_of_the_quarter",
    "luck_sentence",
    "measured",
    "measured_against",
    "measures_table",
    "measures_text",
    "mql_findings",
    "mql_table",
    "needed_by_quarter",
    "newcomer_quotas",
    "onboarding_findings",
    "open_pipeline",
    "ote",
    "past_costs",
    "pay_by_rep",
    "pay_costs_frame",
    "pay_findings",
    "pay_plan_text",
    "pay_table",
    "pay_texts",
    "pay_trace",
    "pay_warnings",
    "payback_table",
    "pipeline_findings",
    "prepare",
    "prepare_customers",
    "prepare_pay",
    "prepare_qualification",
    "prepare_structures",
    "qualification_findings",
    "qualification_table",
    "quota_and_pay",
    "quota_findings",
    "quota_list",
    "quota_texts",
    "quota_trace",
    "quotas_by_quarter",
    "raise_findings",
    "raise_rule",
    "raise_table",
    "ramps",
    "read_export",
    "reconciled",
    "revenue_frame",
    "robustness",
    "rule_text",
    "sales_year",
    "sales_year_of",
    "scenario_named",
    "shipped_pay_plans",
    "simulation_text",
    "solved_text",
    "sources_table",
    "stage_norms_table",
    "structure_chapter_findings",
    "structures_findings",
    "structures_table",
    "sweep_text",
    "team_bookings",
    "team_win_rate",
    "tradeoff_with_pay",
    "use_of_capacity",
    "ways",
    "ways_table",
    "win_rates_by_rep",
]


#: What the front page says where no pay plan was given.
NO_PAY_PLAN = (
    "- No pay plan was given (`pay_plan` in the report file). The pay chapter shows what a 50/50 plan with "
    "accelerators would cost."
)


def key_findings(briefing: Briefing, paid: PayReport, *, pay_given: bool = True) -> str:
    """The answers of the quarter on one page (Markdown).

    Args:
        briefing: the report.
        paid: the pay plan.
        pay_given: False: the pay plan is a stand-in, whose cost is no finding.
    """
    parts = [
        ("Pipeline", pipeline_findings(briefing)),
        ("Quota plan", f"{quota_findings(briefing)}\n- {luck_sentence(briefing)}"),
        ("Pay", pay_findings(paid) if pay_given else NO_PAY_PLAN),
        ("Onboarding", onboarding_findings(briefing)),
    ]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts)


def capacity_findings(year: SalesYear, *, most_open_deals: int = 0) -> str:
    """The answers of the capacity chapter, one sentence for each question (Markdown).

    Args:
        year: scenario and target.
        most_open_deals: as in :func:`limit_findings`.
    """
    findings = (
        lead_findings(year),
        limit_findings(year, most_open_deals=most_open_deals),
        hire_findings(year),
        hold_findings(year),
        lever_findings(year),
    )
    return "\n".join(text.splitlines()[0] for text in findings)

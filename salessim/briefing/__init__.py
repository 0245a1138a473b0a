"""What a quarter's report says: findings in words and tables, made from measures, plans and outcomes.

Notebooks call :func:`prepare` and then show findings, tables and charts; they hold no logic of their own.
"""

from __future__ import annotations

from salessim.briefing.backtest import backtest, backtest_table
from salessim.briefing.funnel import bottleneck_finding, lead_funnel, sources_table
from salessim.briefing.onboarding import capacity, hiring, newcomer_quotas, onboarding_findings, ramps
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
    quota_texts,
    quotas_by_quarter,
    robustness,
)

__all__ = [
    "STEPS",
    "Briefing",
    "assumptions",
    "backtest",
    "backtest_table",
    "bookings_table",
    "bottleneck_finding",
    "capacity",
    "data_quality",
    "forecast",
    "forecast_table",
    "hiring",
    "key_findings",
    "lead_funnel",
    "measured",
    "measures_table",
    "measures_text",
    "newcomer_quotas",
    "onboarding_findings",
    "open_pipeline",
    "pipeline_findings",
    "prepare",
    "quota_findings",
    "quota_texts",
    "quotas_by_quarter",
    "ramps",
    "read_export",
    "robustness",
    "sources_table",
    "team_bookings",
    "team_win_rate",
    "win_rates_by_rep",
]


def key_findings(briefing: Briefing) -> str:
    """The answers of the quarter on one page (Markdown)."""
    parts = [
        ("Pipeline", pipeline_findings(briefing)),
        ("Quota plan", quota_findings(briefing)),
        ("Onboarding", onboarding_findings(briefing)),
    ]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts)

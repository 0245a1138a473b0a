"""What a quarter's report says: findings in words and tables, made from measures, plans and outcomes.

Notebooks call :func:`prepare` and then show findings, tables and charts; they hold no logic of their own.
"""

from __future__ import annotations

from salessim.briefing.onboarding import capacity, hiring, newcomer_quotas, onboarding_findings, ramps
from salessim.briefing.pipeline import data_quality, forecast, measured, pipeline_findings, team_bookings
from salessim.briefing.prepared import Briefing, prepare
from salessim.briefing.quota import (
    assumptions,
    quota_findings,
    quota_texts,
    quotas_by_quarter,
    robustness,
)

__all__ = [
    "Briefing",
    "assumptions",
    "capacity",
    "data_quality",
    "forecast",
    "hiring",
    "key_findings",
    "measured",
    "newcomer_quotas",
    "onboarding_findings",
    "pipeline_findings",
    "prepare",
    "quota_findings",
    "quota_texts",
    "quotas_by_quarter",
    "ramps",
    "robustness",
    "team_bookings",
]


def key_findings(briefing: Briefing) -> str:
    """The answers of the quarter on one page (Markdown)."""
    parts = [
        ("Pipeline", pipeline_findings(briefing)),
        ("Quota plan", quota_findings(briefing)),
        ("Onboarding", onboarding_findings(briefing)),
    ]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in parts)

"""Quotas from files as companies keep them, with what is wrong in them, and attainment per rep and period.

:func:`read_quotas` reads wide files (a column per month, quarter or year) and long ones (a line per rep and
period). :func:`without_rollups` gives the quotas that may be added up. :func:`attainment` puts bookings
beside quotas, :func:`attainment_of` does so for a whole CRM export, in which
:func:`managers_with_team_quota` are not judged, and :func:`attainment_by_period` compares the share that
attained with the band.

Periods are written ``2017-07`` (calendar month), ``2017Q3`` (fiscal quarter) and ``2017`` (fiscal year). How
to add a quality rule stands in :mod:`salessim.crm.quotas.rules`.
"""

from __future__ import annotations

from salessim.crm.quotas.attainment import (
    ATTAINMENT_COLUMNS,
    attainment,
    attainment_by_period,
    attainment_of,
    managers_with_team_quota,
)
from salessim.crm.quotas.files import NOTE_COLUMNS, QuotaFile
from salessim.crm.quotas.labels import Frequency
from salessim.crm.quotas.reading import read_quotas
from salessim.crm.quotas.rollups import AddableQuotas, without_rollups
from salessim.crm.quotas.rules import QUOTA_RULES, QuotaRule, QuotaView

__all__ = [
    "ATTAINMENT_COLUMNS",
    "NOTE_COLUMNS",
    "QUOTA_RULES",
    "AddableQuotas",
    "Frequency",
    "QuotaFile",
    "QuotaRule",
    "QuotaView",
    "attainment",
    "attainment_by_period",
    "attainment_of",
    "managers_with_team_quota",
    "read_quotas",
    "without_rollups",
]

"""CRM exports into canonical tables, with a report on everything that is wrong with them.

:func:`read` is the way in. How a user describes another CRM in YAML stands in
:mod:`salessim.crm.columnmap`, how to add a quality rule in :mod:`salessim.crm.rules`.

>>> from salessim.crm import shipped_maps
>>> shipped_maps()[:4]
('amocrm', 'bitrix24', 'dynamics_365', 'espocrm')
"""

from salessim.crm.asof import as_seen_on
from salessim.crm.canonical import NO_SEGMENTS, SEGMENT_MISSING, Tables
from salessim.crm.changes import Changes, changes_between, changes_in
from salessim.crm.columnmap import ColumnMap, NumberFormat, read_map, shipped_maps
from salessim.crm.coverage import LeftCut, left_cut
from salessim.crm.currencies import Rates, read_rates
from salessim.crm.gaps import GAPS, Gap
from salessim.crm.importer import read
from salessim.crm.ledger import Recorded, with_history
from salessim.crm.quality import QualityReport, write_quality_report
from salessim.crm.quotas import (
    QUOTA_RULES,
    AddableQuotas,
    QuotaFile,
    QuotaRule,
    attainment,
    attainment_by_period,
    attainment_of,
    read_quotas,
    without_rollups,
)
from salessim.crm.rules import RULES, Rule
from salessim.crm.textfiles import SourceFile
from salessim.crm.writing import MAP_FILE, write_tables

__all__ = [
    "GAPS",
    "MAP_FILE",
    "NO_SEGMENTS",
    "QUOTA_RULES",
    "RULES",
    "SEGMENT_MISSING",
    "AddableQuotas",
    "Changes",
    "ColumnMap",
    "Gap",
    "LeftCut",
    "NumberFormat",
    "QualityReport",
    "QuotaFile",
    "QuotaRule",
    "Rates",
    "Recorded",
    "Rule",
    "SourceFile",
    "Tables",
    "as_seen_on",
    "attainment",
    "attainment_by_period",
    "attainment_of",
    "changes_between",
    "changes_in",
    "left_cut",
    "read",
    "read_map",
    "read_quotas",
    "read_rates",
    "shipped_maps",
    "with_history",
    "without_rollups",
    "write_quality_report",
    "write_tables",
]

"""CRM exports into canonical tables, with a report on everything that is wrong with them.

:func:`read` is the way in. How a user describes another CRM in YAML stands in
:mod:`salessim.crm.columnmap`, how to add a quality rule in :mod:`salessim.crm.rules`.

>>> from salessim.crm import shipped_maps
>>> shipped_maps()
('maven_crm', 'salessim_csv')
"""

from salessim.crm.asof import as_seen_on
from salessim.crm.canonical import NO_SEGMENTS, SEGMENT_MISSING, Tables
from salessim.crm.columnmap import ColumnMap, NumberFormat, read_map, shipped_maps
from salessim.crm.coverage import LeftCut, left_cut
from salessim.crm.importer import read
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

__all__ = [
    "NO_SEGMENTS",
    "QUOTA_RULES",
    "RULES",
    "SEGMENT_MISSING",
    "AddableQuotas",
    "ColumnMap",
    "LeftCut",
    "NumberFormat",
    "QualityReport",
    "QuotaFile",
    "QuotaRule",
    "Rule",
    "SourceFile",
    "Tables",
    "as_seen_on",
    "attainment",
    "attainment_by_period",
    "attainment_of",
    "left_cut",
    "read",
    "read_map",
    "read_quotas",
    "shipped_maps",
    "without_rollups",
    "write_quality_report",
]

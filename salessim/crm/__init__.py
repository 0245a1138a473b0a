"""CRM exports into canonical tables, with a report on everything that is wrong with them.

:func:`read` is the way in. How a user describes another CRM in YAML stands in
:mod:`salessim.crm.columnmap`, how to add a quality rule in :mod:`salessim.crm.rules`.

>>> from salessim.crm import shipped_maps
>>> shipped_maps()
('maven_crm', 'salessim_csv')
"""

from salessim.crm.asof import as_seen_on
from salessim.crm.canonical import NO_SEGMENTS, SEGMENT_MISSING, Tables
from salessim.crm.columnmap import ColumnMap, read_map, shipped_maps
from salessim.crm.coverage import LeftCut, left_cut
from salessim.crm.importer import read
from salessim.crm.quality import QualityReport, write_quality_report
from salessim.crm.rules import RULES, Rule
from salessim.crm.textfiles import SourceFile

__all__ = [
    "NO_SEGMENTS",
    "RULES",
    "SEGMENT_MISSING",
    "ColumnMap",
    "LeftCut",
    "QualityReport",
    "Rule",
    "SourceFile",
    "Tables",
    "as_seen_on",
    "left_cut",
    "read",
    "read_map",
    "shipped_maps",
    "write_quality_report",
]

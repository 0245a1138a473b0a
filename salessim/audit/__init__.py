"""The re-qualification audit [A4]: what the open pipeline is worth once every deal stands where it belongs.

:func:`audit` holds each open deal against the exit criteria of its stage [A3], :func:`audit_workbook` writes
the list that a team works through, and :func:`read_evidence_sheet` reads it back.
"""

from salessim.audit.requalify import PURCHASE_WITHIN_DAYS, STALE_AFTER_DAYS, Audit, audit
from salessim.audit.sheet import EvidenceSheet, read_evidence_sheet
from salessim.audit.workbook import audit_workbook

__all__ = [
    "PURCHASE_WITHIN_DAYS",
    "STALE_AFTER_DAYS",
    "Audit",
    "EvidenceSheet",
    "audit",
    "audit_workbook",
    "read_evidence_sheet",
]

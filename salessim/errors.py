"""Errors that a user can act on: each names what was wrong, the value, and what is allowed.

Everything that can go wrong through input is a :class:`SalessimError`. The command line prints its text
and stops with exit code 2; a notebook shows it as the last line of the failing cell.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "DataError",
    "EngineError",
    "ParameterError",
    "PlanError",
    "ReportError",
    "SalessimError",
    "SalessimWarning",
    "ScenarioError",
    "WorkspaceError",
    "listed",
]


class SalessimError(Exception):
    """Something in the input must be changed; the text says what, where, and what is allowed."""


class ScenarioError(SalessimError):
    """A scenario cannot be read, or describes an impossible world."""


class PlanError(SalessimError):
    """A quota plan cannot be read, or contradicts the scenario it is scored on."""


class DataError(SalessimError):
    """A CRM export cannot be read or does not fit its column map."""


class EngineError(SalessimError):
    """A simulation was asked for something it cannot answer."""


class ParameterError(SalessimError):
    """A notebook or report parameter has an unknown name or a wrong type."""


class ReportError(SalessimError):
    """A report could not be built; the last good one is still in place."""


class WorkspaceError(SalessimError):
    """A folder is missing, not empty, or cannot be written."""


class SalessimWarning(UserWarning):
    """Something a reader of the result must know, which does not stop the work."""


def listed(names: Sequence[object], *, most: int = 12) -> str:
    """Write names as a readable list for an error text, cut after ``most``.

    >>> listed(["won", "lost"])
    "'won', 'lost'"
    >>> listed(range(20), most=3)
    "'0', '1', '2' and 17 more"
    >>> listed([])
    '(none)'
    """
    shown = ", ".join(f"'{name}'" for name in list(names)[:most])
    rest = len(names) - most
    if not shown:
        return "(none)"
    return f"{shown} and {rest} more" if rest > 0 else shown

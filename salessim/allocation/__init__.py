"""Quota allocation: the plan handed down to each rep, what reps can bring added up, and both reconciled.

>>> import pandas as pd
>>> team = Hierarchy.from_table(pd.DataFrame({
...     "name": ["Acme", "North", "South", "Ann", "Bo", "Cy"],
...     "parent": ["", "Acme", "Acme", "North", "North", "South"],
...     "history": [None, None, None, 300.0, 100.0, 200.0],
... }))
>>> plan = allocate(team, 1_200_000, year=2026, currency="EUR")
>>> plan.table.set_index("name")["quota"].to_dict()
{'Acme': 1200000.0, 'North': 800000.0, 'South': 400000.0, 'Ann': 600000.0, 'Bo': 200000.0, 'Cy': 400000.0}
"""

from __future__ import annotations

from salessim.allocation.bottom_up import Reconciliation, coverage, reconcile, roll_up
from salessim.allocation.cascade import Allocation, allocate
from salessim.allocation.explain import differences, trace
from salessim.allocation.hierarchy import Hierarchy
from salessim.allocation.year import EVEN, Freed, Relief

__all__ = [
    "EVEN",
    "Allocation",
    "Freed",
    "Hierarchy",
    "Reconciliation",
    "Relief",
    "allocate",
    "coverage",
    "differences",
    "reconcile",
    "roll_up",
    "trace",
]

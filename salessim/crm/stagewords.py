"""What an export's stage words mean, and where stages stand that the column map does not list."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from salessim.crm.columnmap import ColumnMap, open_name, word_key
from salessim.crm.convert import as_objects

__all__ = ["StageWords", "ordered_stages"]

# Parts of words by which an unlisted stage tells that its deals are closed, in English, Polish and Russian.
# Lost goes first: "неудачно" holds "удачно", "not won" is no win.
_LOST = (
    "lost", "cancel", "disqualif", "unqualif", "abandon", "reject", "not won", "przegran", "poraż", "nieudan",
    "anulowan", "utracon", "odrzucon", "rezygnac", "niepowodz", "nie wygran", "niewygran", "bez sukces",
    "проигр", "неудач", "неуспе", "не успе", "не реализ", "нереализ", "провал", "отказ", "потерян",
)  # fmt: skip
# A stage that says only that it is over, such as "Zakończone" or "Closed", does not say how it ended.
_WON = ("won", "wygran", "sukces", "выигр", "удачн", "успеш", "успех", "реализован")


class StageWords:
    """The stage words of a column map, and those of an export that it does not list.

    ``in_history``: a closed deal enters "Lost" there, although a status column says so of the deal itself.

    >>> from salessim.crm.columnmap import read_map
    >>> words = StageWords(read_map("salessim_csv"))
    >>> words.status("Won"), words.name("WARM  lead"), words.status("demo")
    ('won', 'warm lead', None)
    """

    def __init__(self, column_map: ColumnMap, *, in_history: bool = False) -> None:
        listed = column_map.stage_meanings
        by_name = {word_key(name): (status, name) for status, name in listed.values()}
        statuses = (column_map.statuses or {}) if in_history else {}
        ends = {word_key(word): (status, status) for word, status in statuses.items() if status != "open"}
        self._meanings = by_name | ends | listed
        self._others = column_map.other_stages

    def listed(self, word: str) -> bool:
        """Whether the column map knows the word."""
        return word_key(word) in self._meanings

    def status(self, word: str) -> str | None:
        """open, won or lost; None where the map refuses the word."""
        found = self._meanings.get(word_key(word))
        if found or self._others == "refuse":
            return found[0] if found else None
        return _by_words(word) if self._others == "by words" else "open"

    def name(self, word: str) -> str | None:
        """What the tables call the stage; None where the map refuses the word."""
        found = self._meanings.get(word_key(word))
        status = self.status(word)
        if found or status is None:
            return found[1] if found else None
        return open_name(word) if status == "open" else status


def _by_words(word: str) -> str:
    """open, won or lost, as the words of an unlisted stage have it.

    >>> [_by_words(word) for word in ("Demo booked", "Closed – Won (partner)", "Закрыта неудачно")]
    ['open', 'won', 'lost']
    """
    key = word_key(word)
    if any(part in key for part in _LOST):
        return "lost"
    return "won" if any(re.search(rf"\b{part}", key) for part in _WON) else "open"


def ordered_stages(
    listed: Sequence[str],
    unlisted: Sequence[str],
    *,
    deals: pd.DataFrame,
    history: pd.DataFrame | None = None,
) -> tuple[str, ...]:
    """Put stages that the column map does not list into their place among those that it does.

    A stage with a mean probability of its deals follows the last stage whose mean is not higher; else it
    follows the stages that deals had entered before it, by the stage history; else it comes last.

    Args:
        listed: open stages of the map, in order.
        unlisted: the others, in the order in which they turn up.
        deals: columns stage and probability (NaN where not given).
        history: columns opportunity_id, stage, entered; None without one.

    >>> deals = pd.DataFrame({"stage": ["a", "b", "new"], "probability": [10.0, 60.0, 30.0]})
    >>> ordered_stages(["a", "b"], ["new", "other"], deals=deals)
    ('a', 'new', 'b', 'other')
    """
    if not unlisted:
        return tuple(listed)
    chances = deals.groupby("stage", observed=True)["probability"].mean().dropna().to_dict()
    placed = list(listed)
    for stage in sorted((s for s in unlisted if s in chances), key=lambda s: chances[s]):
        before = [place for place, other in enumerate(placed) if chances.get(other, 101.0) <= chances[stage]]
        known = any(other in chances for other in placed)
        placed.insert(before[-1] + 1 if before else 0 if known else len(placed), stage)
    left = [stage for stage in unlisted if stage not in chances]
    entries = _first_entries(history) if history is not None else _NO_ENTRIES
    ranks = entries.groupby("stage")["rank"].mean().to_dict()
    for stage in sorted(left, key=lambda s: ranks.get(s, float("inf"))):
        earlier = _earlier(entries, stage)
        before = [place for place, other in enumerate(placed) if earlier.get(other, 0.0) > 0.5]
        later = [place for place, other in enumerate(placed) if earlier.get(other, 1.0) <= 0.5]
        placed.insert(before[-1] + 1 if before else later[0] if later else len(placed), stage)
    return tuple(placed)


_NO_ENTRIES = pd.DataFrame({"deal": [], "stage": [], "rank": []}, dtype="object")


def _first_entries(history: pd.DataFrame) -> pd.DataFrame:
    """When each deal entered each stage first, as the rank of that entry in the deal's own history."""
    ordered = history.assign(deal=as_objects(history["opportunity_id"]), stage=as_objects(history["stage"]))
    ordered = ordered.sort_values("entered", kind="stable").drop_duplicates(["deal", "stage"])
    rank = ordered.groupby("deal", observed=True, sort=False).cumcount()
    return ordered.assign(rank=rank)[["deal", "stage", "rank"]]


def _earlier(entries: pd.DataFrame, stage: str) -> dict[str, float]:
    """For each other stage, in which share of the deals that saw both it was entered before this one."""
    own = entries[entries["stage"] == stage].set_index("deal")["rank"]
    both = entries[entries["deal"].isin(own.index) & (entries["stage"] != stage)]
    first = both["rank"] < both["deal"].map(own).astype("int64")
    return {str(name): float(share) for name, share in first.groupby(both["stage"]).mean().items()}

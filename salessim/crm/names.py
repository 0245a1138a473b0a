"""Names that are probably one name written in two ways, among those of an export."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import pandas as pd

__all__ = ["near_names"]

# Names are compared letter by letter only where there are few of them, and words only where they are long
# enough to tell a slip of the pen from another name.
_MOST_NAMES, _SHORTEST_WORD, _ALIKE = 200, 5, 0.87
# Of two names that nobody lists, the right one is at least so many times as frequent.
_TIMES_MORE = 5


def near_names(
    counts: Mapping[str, int], *, listed: AbstractSet[str] = frozenset(), by_letter: bool = True
) -> dict[str, str]:
    """Find names that differ from another only in blanks, capitals, punctuation or a letter.

    Args:
        counts: how often each name occurs.
        listed: names that are right, such as those of a price list; else the more frequent one is.
        by_letter: also compare letter by letter, among up to 200 names; not for names of people.

    Returns:
        The probably wrong names, each with the probably right one.

    >>> near_names({"GTXPro": 1285, "GTX Basic": 900}, listed={"GTX Pro", "GTX Basic"})
    {'GTXPro': 'GTX Pro'}
    >>> near_names({"technology": 40, "technolgy": 2, "Product A": 9, "Product B": 1})
    {'technolgy': 'technology'}
    """
    wrong = _spelt_two_ways(counts, listed)
    if by_letter:
        wrong |= _one_letter_off({name: rows for name, rows in counts.items() if name not in wrong}, listed)
    return wrong


def _spelt_two_ways(counts: Mapping[str, int], listed: AbstractSet[str]) -> dict[str, str]:
    """Names that another name equals but for blanks, capitals and punctuation, with that other one."""
    names = pd.Series([*counts, *sorted(listed - set(counts))], dtype="object")
    if names.empty:
        return {}
    keys = names.str.casefold().str.replace(r"[\W_]+", "", regex=True)
    twice = names[keys.duplicated(keep=False) & (keys != "")]
    wrong: dict[str, str] = {}
    for _, group in twice.groupby(keys[twice.index], sort=False):
        right = max(group, key=lambda name: (name in listed, counts.get(name, 0)))
        wrong |= {name: right for name in group if name != right and name in counts}
    return wrong


def _one_letter_off(counts: Mapping[str, int], listed: AbstractSet[str]) -> dict[str, str]:
    """Rare names in which one long word is almost that of a listed or a much more frequent name."""
    names = sorted({*counts, *listed})
    if len(names) > _MOST_NAMES:
        return {}
    wrong: dict[str, str] = {}
    for name, rows in counts.items():
        if name in listed:
            continue
        better = [
            other
            for other in names
            if other != name
            and (other in listed or counts[other] >= _TIMES_MORE * rows)
            and _almost(name.casefold().split(), other.casefold().split())
        ]
        if better:
            wrong[name] = max(better, key=lambda other: (other in listed, counts.get(other, 0)))
    return wrong


def _almost(one: list[str], other: list[str]) -> bool:
    if len(one) != len(other):
        return False
    differing = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    if len(differing) != 1:
        return False
    a, b = differing[0]
    if min(len(a), len(b)) < _SHORTEST_WORD or re.findall(r"\d", a) != re.findall(r"\d", b):
        return False
    matcher = difflib.SequenceMatcher(None, a, b)
    return matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE

"""The changes between two lists: companies that joined, left or were renamed, and symbols to fetch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sp500tui.model import Constituent

_MAX_COMPANIES = 6
"""Companies named in one part of a difference."""
_MAX_SYMBOLS = 10
"""Symbols named in one part of a changed list."""


@dataclass(frozen=True, slots=True)
class ListDifference:
    """The symbols by which two lists differ, each in order."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    """Old and new ticker of companies that have the same CIK."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.renamed)

    def __str__(self) -> str:
        parts = [
            ("renamed", [f"{old} to {new}" for old, new in self.renamed]),
            ("added", list(self.added)),
            ("removed", list(self.removed)),
        ]
        return "; ".join(f"{what} {_some(names)}" for what, names in parts if names)


def compare(before: Iterable[Constituent], now: Iterable[Constituent]) -> ListDifference:
    """Compare two lists. A ticker that replaces another with the same CIK is a rename, if there is one of each."""
    old = {one.symbol: one.cik for one in before}
    new = {one.symbol: one.cik for one in now}
    gone = {symbol: cik for symbol, cik in old.items() if symbol not in new}
    come = {symbol: cik for symbol, cik in new.items() if symbol not in old}
    counts = Counter(gone.values()), Counter(come.values())
    by_cik = {cik: symbol for symbol, cik in come.items()}
    renamed = {
        symbol: by_cik[cik] for symbol, cik in gone.items() if cik and counts[0][cik] == counts[1][cik] == 1
    }
    return ListDifference(
        tuple(sorted(come.keys() - renamed.values())),
        tuple(sorted(gone.keys() - renamed.keys())),
        tuple(sorted(renamed.items())),
    )


def describe_change(before: Sequence[str], after: Sequence[str]) -> str:
    """The changes of the symbols to fetch, in one line; "" if nothing, or if it is the first list."""
    if not before:
        return ""
    added, removed = sorted({*after} - {*before}), sorted({*before} - {*after})
    changes = [
        f"{len(symbols):,} {verb} ({', '.join(symbols[:_MAX_SYMBOLS])}{', …' * (len(symbols) > _MAX_SYMBOLS)})"
        for verb, symbols in (("added", added), ("removed", removed))
        if symbols
    ]
    return f"the list of constituents has changed: {', '.join(changes)}" if changes else ""


def _some(names: list[str]) -> str:
    more = len(names) - _MAX_COMPANIES
    return ", ".join(names[:_MAX_COMPANIES]) + (f" and {more} more" if more > 0 else "")

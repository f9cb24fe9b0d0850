"""Who joined and left the index between two lists, and which companies were only renamed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sp500tui.model import Constituent

_MAX_NAMED = 6


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
    """Compare two lists. A ticker that replaces another one of the same CIK is a rename, if there is one of each."""
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


def _some(names: list[str]) -> str:
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")

"""The constituents of the index and their changes, as the demo market's Wikipedia lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from sp500tui.simulator.market.instruments import Listing


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the table of changes; a side without a company is empty."""

    day: date
    added: str
    added_name: str
    removed: str
    removed_name: str
    reason: str = "Market capitalization change."


PAST_CHANGES = (
    Change(date(2026, 5, 7), "VEEV", "Veeva Systems", "CTRA", "Coterra"),
    Change(date(2026, 3, 23), "", "", "MTCH", "Match Group"),
)


class Index:
    """The current constituents and the changes, newest first."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self.listings = list(listings)
        self.changes = list(PAST_CHANGES)
        self.version = 0
        """Number of modifications so far."""

    def rename(self, old: str, new: Listing) -> None:
        """List a constituent under its new ticker; the table of changes does not mention it."""
        self.listings = [new if listing.symbol == old else listing for listing in self.listings]
        self.version += 1

    def change(self, day: date, added: Listing | None, removed: str | None) -> None:
        """Add a company, remove one, or both."""
        gone = next((listing for listing in self.listings if listing.symbol == removed), None)
        kept = [listing for listing in self.listings if listing is not gone]
        new = [] if added is None else [replace(added, date_added=day.isoformat())]
        self.listings = sorted([*kept, *new], key=lambda listing: listing.symbol)
        row = Change(
            day,
            added.symbol if added else "",
            added.name if added else "",
            gone.symbol if gone else "",
            gone.name if gone else "",
        )
        self.changes.insert(0, row)
        self.version += 1

"""Derives from Wikipedia's page the periods for which each company was in the index."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import groupby

from sp500tui.model import Constituent, IndexChange, Membership

SOURCE = "wikipedia"
FIRST_DAY = date(1957, 3, 4)
"""The index has had 500 companies since this day; the start of memberships without a start on the page."""
_COMPANY_FORM = re.compile(
    r"\b(inc|incorporated|corp|corporation|co|company|companies|plc|ltd|limited|group|holdings?|the|class [a-c])\b"
)
_NO_WORD = re.compile(r"[\W_]+")


def derive_memberships(
    constituents: Iterable[Constituent], changes: Sequence[IndexChange]
) -> tuple[Membership, ...]:
    """The memberships derived from the two tables, ordered by symbol and time.

    The first table states which companies are in the index today, and since when. A company that left, and whose
    addition is in no row, counts as a member from the beginning, or since its ticker left before. An addition under a
    ticker that neither left nor is listed today belongs to a company that was renamed: to the one of the same name
    that left later, or to the current one with that date. If there is neither, it is omitted, because its end is
    unknown.
    """
    listed = {constituent.symbol: constituent for constituent in constituents}
    left = _Periods(changes, listed.keys())
    found = [
        Membership(symbol, "", valid_from, valid_to, SOURCE) for symbol, valid_from, valid_to in left.closed()
    ]
    for symbol, constituent in listed.items():
        since = constituent.date_added or left.open_since.get(symbol) or FIRST_DAY
        earlier = [one.valid_to for one in found if one.symbol == symbol and one.valid_to is not None]
        # For a company that left and returned, the date of the first addition.
        since = max([since, *(end for end in earlier if end > since)])
        found.append(Membership(symbol, constituent.cik, since, None, SOURCE))
    return tuple(sorted(found, key=lambda one: (one.symbol, one.valid_from)))


def members_on(
    stated: Iterable[Membership], observed: Iterable[Membership], day: date
) -> tuple[Membership, ...]:
    """The members on a day, by symbol: those stated by the page, corrected by observations.

    A company renamed since then has the ticker of that day, if the old one was observed. An observed company that
    the page does not mention is a member too, unless the page states that it had left.
    """
    stated, observed = list(stated), list(observed)
    found = {one.symbol: one for one in _covering(stated, day)}
    for one in _covering(observed, day):
        if one.symbol in found:
            continue
        later = _new_ticker(one, observed)
        if later in found:
            found[one.symbol] = replace(found.pop(later), symbol=one.symbol, source=one.source)
        elif not any(_left(each, one, day) for each in stated):
            found[one.symbol] = one
    return tuple(found[symbol] for symbol in sorted(found))


def _covering(memberships: Iterable[Membership], day: date) -> Iterator[Membership]:
    for one in memberships:
        if one.valid_from <= day and (one.valid_to is None or day < one.valid_to):
            yield one


def _new_ticker(old: Membership, observed: Sequence[Membership]) -> str:
    """The current ticker of a renamed company, by its CIK and the days of the renames; its own if it has none."""
    while old.cik and old.valid_to is not None:
        new = [
            one for one in observed if one.cik == old.cik and one.valid_from == old.valid_to and one != old
        ]
        if len(new) != 1:
            break
        old = new[0]
    return old.symbol


def _left(stated: Membership, observed: Membership, day: date) -> bool:
    """Whether the page states that an observed company had left by a day."""
    return (
        stated.symbol == observed.symbol
        and stated.valid_to is not None
        and observed.valid_from < stated.valid_to <= day
    )


class _Periods:
    """Additions and removals of each ticker, combined."""

    def __init__(self, changes: Sequence[IndexChange], listed: Iterable[str]) -> None:
        self._names: defaultdict[str, list[date]] = defaultdict(list)
        """Name of a company → days of its additions under tickers that did not leave."""
        self._removals: list[tuple[str, str, date, date | None]] = []
        """Symbol, name, day of removal, and day of its addition if it is known."""
        self.open_since: dict[str, date] = {}
        """Symbol → the latest addition without a removal after it."""
        listed = set(listed)
        for day, of_day in groupby(sorted(changes, key=_day), key=_day):
            rows = list(of_day)
            # A ticker that is reused leaves before it is added again.
            for removal in rows:
                if removal.removed:
                    added = self.open_since.pop(removal.removed, None)
                    self._removals.append((removal.removed, removal.removed_name, day, added))
            self.open_since |= {addition.added: day for addition in rows if addition.added}
        additions = {change.added: change.added_name for change in changes if change.added}
        for symbol, day in self.open_since.items():
            if symbol not in listed:
                self._names[_plain_name(additions[symbol])].append(day)

    def closed(self) -> Iterable[tuple[str, date, date]]:
        """Symbol, first day, and first day after it."""
        left: dict[str, date] = {}
        for symbol, name, removed, added in self._removals:
            if added is None:
                earlier = [day for day in self._names.get(_plain_name(name), ()) if day < removed]
                # A ticker that left earlier has since been added again, by a row missing from the page.
                added = max([*earlier, left.get(symbol, FIRST_DAY)])
            left[symbol] = removed
            if added < removed:
                yield symbol, added, removed


def _day(change: IndexChange) -> date:
    return change.effective_date


def _plain_name(name: str) -> str:
    """The name without legal form and punctuation."""
    return _NO_WORD.sub(" ", _COMPANY_FORM.sub(" ", name.casefold())).strip()

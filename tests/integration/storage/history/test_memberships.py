"""Memberships in a database: what the page states is replaced, what was observed is continued."""

from __future__ import annotations

from datetime import date

from sp500tui.model import Constituent, IndexChange, Membership
from sp500tui.sources.wikipedia.memberships import FIRST_DAY, derive_memberships
from sp500tui.storage.history.memberships import observe_memberships, read_memberships, store_memberships
from sp500tui.storage.transaction import Connection

MONDAY, TUESDAY, FRIDAY = date(2026, 5, 4), date(2026, 5, 5), date(2026, 5, 8)


def stated(symbol: str, start: date, end: date | None = None) -> Membership:
    return Membership(symbol, "", start, end, "wikipedia")


def seen(symbol: str, start: date, end: date | None = None, cik: str = "1") -> Membership:
    return Membership(symbol, cik, start, end, "observed")


def companies(*symbols: str) -> list[Constituent]:
    return [Constituent(symbol, symbol, "", "", "", None, "1", "") for symbol in symbols]


def test_the_memberships_of_a_source_replace_its_earlier_ones(connection: Connection) -> None:
    store_memberships(connection, [stated("A", MONDAY), stated("B", MONDAY)], "wikipedia")
    observe_memberships(connection, companies("C"), (), MONDAY)
    # when the page corrects one and drops the other
    store_memberships(connection, [stated("A", MONDAY, FRIDAY)], "wikipedia")
    store_memberships(connection, [stated("A", MONDAY, FRIDAY)], "wikipedia")
    assert read_memberships(connection) == [stated("A", MONDAY, FRIDAY), seen("C", MONDAY)]
    # and an empty page empties it
    store_memberships(connection, [], "wikipedia")
    assert read_memberships(connection) == [seen("C", MONDAY)]


def test_the_memberships_of_a_ticker_that_left_twice_are_stored(connection: Connection) -> None:
    # given a list of changes as Wikipedia's, which names the removals of a ticker and no addition
    changes = [IndexChange(day, "", "", "A", "A", "") for day in (FRIDAY, MONDAY)]
    store_memberships(connection, derive_memberships((), changes), "wikipedia")
    assert read_memberships(connection) == [stated("A", FIRST_DAY, MONDAY), stated("A", MONDAY, FRIDAY)]


def test_a_rename_ends_one_membership_and_begins_another_on_the_same_day(connection: Connection) -> None:
    for day, symbol in ((MONDAY, "FB"), (TUESDAY, "FB"), (FRIDAY, "META"), (FRIDAY, "META")):
        observe_memberships(connection, companies(symbol), (), day)
    assert read_memberships(connection) == [seen("FB", MONDAY, FRIDAY), seen("META", FRIDAY)]


def test_a_removal_counts_from_its_effective_date(connection: Connection) -> None:
    # given a program that saw the list on Monday and on Friday
    observe_memberships(connection, companies("A", "B", "C"), (), MONDAY)
    removal = IndexChange(TUESDAY, "", "", "B", "B", "")
    observe_memberships(connection, companies("A"), [removal], FRIDAY)
    assert read_memberships(connection) == [
        seen("A", MONDAY),
        seen("B", MONDAY, TUESDAY),
        seen("C", MONDAY, FRIDAY),
    ]


def test_an_earlier_removal_of_the_ticker_does_not_count(connection: Connection) -> None:
    # given a company whose ticker another one had, or that had left before
    observe_memberships(connection, companies("A", "B"), (), MONDAY)
    removals = [IndexChange(date(2013, 9, 23), "", "", symbol, symbol, "") for symbol in ("A", "B")]
    # when it is renamed
    observe_memberships(connection, companies("A", "C"), removals, FRIDAY)
    assert read_memberships(connection) == [
        seen("A", MONDAY),
        seen("B", MONDAY, FRIDAY),
        seen("C", FRIDAY),
    ]


def test_a_company_that_returns_on_the_same_day_is_a_member_all_along(connection: Connection) -> None:
    for symbols in (("A", "B"), ("A",), ("A", "B")):
        observe_memberships(connection, companies(*symbols), (), MONDAY)
    assert read_memberships(connection) == [seen("A", MONDAY), seen("B", MONDAY)]

"""Memberships in the index: those stated by Wikipedia's page, and those observed by the program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import psycopg

from sp500tui.model import Constituent, IndexChange, Membership
from sp500tui.storage.connection import query_error
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.statements import execute
from sp500tui.storage.transaction import Connection, run, run_together

OBSERVED = "observed"
"""The source of memberships that the program has observed."""


def store_memberships(connection: Connection, memberships: Sequence[Membership], source: str) -> None:
    """Replace the memberships of a source, in one transaction.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    values: dict[str, object] = {
        "source": source,
        "symbol": [one.symbol for one in memberships],
        "cik": [one.cik for one in memberships],
        "valid_from": [one.valid_from for one in memberships],
        "valid_to": [one.valid_to for one in memberships],
    }
    _execute(connection, ("delete_stale_memberships", "upsert_memberships"), values)


def observe_memberships(
    connection: Connection, listed: Iterable[Constituent], changes: Iterable[IndexChange], today: date
) -> None:
    """Record the list of a day: the companies that left since the last one, and the new ones. Idempotent.

    A renamed company has a membership for each ticker, with the same CIK: one ends on the day on which the other
    begins.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    constituents = list(listed)
    removals = [change for change in changes if change.removed]
    values: dict[str, object] = {
        "symbol": [one.symbol for one in constituents],
        "cik": [one.cik for one in constituents],
        "removed": [change.removed for change in removals],
        "removed_on": [change.effective_date for change in removals],
        "today": today,
    }
    _execute(connection, ("close_observed_memberships", "open_observed_memberships"), values)


def read_memberships(connection: Connection) -> list[Membership]:
    """All memberships, by symbol and time.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    try:
        return [Membership(*row) for row in run(connection, QUERIES["memberships"])]
    except psycopg.Error as error:
        raise query_error("the memberships cannot be read", error) from None


def _execute(connection: Connection, queries: Sequence[str], values: dict[str, object]) -> None:
    execute("the database did not store the memberships", lambda: run_together(connection, queries, values))

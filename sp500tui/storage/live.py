"""The newest rows as the pipeline's own values, for a face whose prices other machines fetch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from sp500tui.model import ConvertedQuote, Quote
from sp500tui.storage.connection import Connection, failure
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.retry import repeated
from sp500tui.storage.transaction import run


@dataclass(frozen=True, slots=True)
class Latest:
    """Rows that are the newest of their symbols."""

    rows: tuple[ConvertedQuote, ...]
    stored_at: datetime | None
    """When the last of them was stored, by the server's clock; None without rows."""


def latest_since(connection: Connection, since: datetime) -> Latest:
    """The newest row of each symbol that was stored at `since` or later.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    try:
        found = repeated(lambda: run(connection, QUERIES["latest_since"], {"since": since}).fetchall())
    except psycopg.Error as error:
        raise failure("the database did not answer the query latest_since", error) from None
    stored = max((line[-1] for line in found), default=None)
    return Latest(tuple(_row(line) for line in found), stored)


def _row(line: Sequence[Any]) -> ConvertedQuote:
    symbol, price, change, percent, currency, time, state, volume, fetched_at, *converted, _ = line
    quote = Quote(symbol, price, change, percent, currency, time, state, volume, fetched_at)
    converted_price, converted_currency, rate, rate_time = converted
    return ConvertedQuote(quote, converted_price, converted_currency, rate, rate_time)

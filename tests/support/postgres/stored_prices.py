"""Rows of the table `prices`, written by plain SQL."""

from __future__ import annotations

from datetime import UTC, datetime

from sp500tui.storage.transaction import Connection

START = datetime(2026, 5, 1, 13, 30, tzinfo=UTC)
FILL = """
INSERT INTO prices (
    symbol, quote_time, price, currency, converted_price, converted_currency, market_state, volume, fetched_at
)
SELECT symbol, %(start)s::timestamptz + minute * interval '1 min', minute + 0.50, 'USD', 7 * (minute + 0.50), 'DKK',
       'REGULAR', 100, %(start)s
FROM unnest(%(symbols)s::text[]) AS symbol, generate_series(0, %(rows)s - 1) AS minute
"""


def fill(connection: Connection, symbols: list[str], rows: int) -> None:
    """Store `rows` prices of each symbol, one per minute from `START` on: 0.50, 1.50, …"""
    connection.execute(FILL, {"start": START, "symbols": symbols, "rows": rows})

"""A script with the same result as `backfill`: `yf.download` into a DataFrame, and `to_sql`.

Run as `-m tests.benchmarks.children.history_client URL FROM TO SYMBOL…`, the demo market in the environment. Prints
the number of rows.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from typing import Any

_LONGEST = timedelta(days=7)
"""Window of one request for one-minute bars."""


def main(url: str, start: date, end: date, symbols: list[str]) -> int:
    """Store the one-minute bars from `start` to before `end`; returns the number of rows."""
    import sqlalchemy
    import yfinance

    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    stored = 0
    while start < end:
        following = min(start + _LONGEST, end)
        frame: Any = yfinance.download(
            symbols,
            start=f"{start}",
            end=f"{following}",
            interval="1m",
            group_by="ticker",
            progress=False,
            auto_adjust=False,
        )
        rows = frame.stack(level=0, future_stack=True).reset_index()
        rows.to_sql("downloaded", engine, if_exists="append", index=False)
        stored += len(rows)
        start = following
    return stored


if __name__ == "__main__":
    first, last = map(date.fromisoformat, sys.argv[2:4])
    sys.stdout.write(str(main(sys.argv[1], first, last, sys.argv[4:])))

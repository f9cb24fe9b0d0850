"""Export from the database: `sp500tui export` compared with psql's COPY of the same table, and its memory."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import psutil
import psycopg

from sp500tui.storage.embedded.binaries import bin_folder
from tests.benchmarks.report.figures import Figure, Scale, Spread
from tests.benchmarks.rig import child_environment, fresh_database, scratch_server

_FILL = """
INSERT INTO prices (symbol, quote_time, price, change, percent_change, currency, converted_price, converted_currency,
                    fx_rate, fx_time, market_state, volume, fetched_at)
SELECT 'S' || number %% 503, timestamptz '2026-05-04 13:30+00' + number / 503 * interval '1 s', 225.42, -1.27, 0.6421,
       'USD', 1545.93, 'DKK', 6.858, '2026-05-04 13:30+00', 'REGULAR', 1000000 + number, '2026-05-04 13:30:00.25+00'
FROM generate_series(1, %s) AS number
"""
_FIRST = datetime(2026, 5, 4, 13, 30, tzinfo=UTC)
"""Time of the first 503 rows; the next ones are a second later."""
_FORMS = ("csv", "jsonl", *(("parquet",) if find_spec("pyarrow") else ()))
_EQUAL = "same server and table, output to /dev/null, start of the program included"


def seconds_and_peak(command: list[str]) -> tuple[float, float]:
    """Duration of a program, and its maximum observed resident size in megabytes."""
    started = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, env=child_environment())
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
        except psutil.Error:
            break
        time.sleep(0.005)
    if process.wait():
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return time.perf_counter() - started, peak / 1e6


def ours(url: str, form: str, *window: str) -> tuple[float, float]:
    """One export of the table."""
    options = ["export", "quotes", "--format", form, "--database", url, *window]
    return seconds_and_peak([sys.executable, "-m", "sp500tui", *options])


def copy(url: str) -> float:
    """One export of the same table by psql."""
    return seconds_and_peak([str(bin_folder() / "psql"), url, "-c", "COPY prices TO STDOUT"])[0]


def run(scale: Scale) -> list[Figure]:
    """Rate of each format compared with COPY, and the memory for a tenth and for all of the rows."""
    rows = scale.quotes * 50
    with scratch_server() as server, fresh_database(server) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_FILL, (rows,))
            connection.execute("VACUUM ANALYZE prices")
        # Alternating, because the speed of the machine varies.
        turns = [
            (copy(url), {form: ours(url, form) for form in _FORMS}) for _ in range(max(1, scale.runs // 2))
        ]
        tenth = _FIRST + timedelta(seconds=max(1, rows // 5030))
        parts = {form: ours(url, form, "--to", tenth.isoformat())[1] for form in _FORMS}
    return [
        figure
        for form in _FORMS
        for figure in (
            _rate(form, rows, [(limit, found[form][0]) for limit, found in turns]),
            _memory(form, [found[form][1] for _, found in turns], parts[form]),
        )
    ]


def _rate(form: str, rows: int, turns: list[tuple[float, float]]) -> Figure:
    """The figure of a format; `turns` are seconds of COPY and of the export."""
    share = Spread.pairwise([limit for limit, _ in turns], [taken for _, taken in turns]).times(100)
    return Figure(
        "export",
        f"{rows:,} prices as {form}",
        "rows/s",
        Spread.of(rows / taken for _, taken in turns),
        _EQUAL,
        limit=Spread.of(rows / limit for limit, _ in turns),
        limit_name="psql, COPY prices TO STDOUT",
        ratio=share,
        ratio_name="% of the limit",
        goal="≥ 50 % of COPY",
        met=share.median >= 50,
    )


def _memory(form: str, sizes: list[float], tenth: float) -> Figure:
    peaks = Spread.of(sizes)
    return Figure(
        "export",
        f"largest resident size, {form}",
        "MB",
        peaks,
        _EQUAL,
        {"a tenth of the rows": Spread.of([tenth])},
        goal="flat: at most 20 % above that of a tenth of the rows",
        met=peaks.median <= 1.2 * tenth,
    )

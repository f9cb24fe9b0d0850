"""Streams rows out of the database as CSV or COPY text; memory does not grow with the number of rows."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

import psycopg
from psycopg.pq.abc import PGconn

from sp500tui.errors import DatabaseError
from sp500tui.storage.connection import read_error
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.schema.migrations import is_migrated
from sp500tui.storage.transaction import Connection, raise_on_error, transaction

BLOCK_BYTES = 1 << 18
"""Minimum size of a block in bytes."""
_FORMULA_STARTS = "=+-@|%%"
"""Characters as in `sp500tui.export`, the percent sign doubled for psycopg."""
_UNDEFINED_TABLE = "42P01"


class ColumnType(Enum):
    """The type of a column."""

    TEXT = "text"
    DECIMAL = "decimal"
    INTEGER = "integer"
    TIME = "time"
    DATE = "date"


_TYPES = {
    **dict.fromkeys(("price", "change", "percent_change", "converted_price", "fx_rate"), ColumnType.DECIMAL),
    **dict.fromkeys(("open", "high", "low", "close"), ColumnType.DECIMAL),
    **dict.fromkeys(("numerator", "denominator", "amount"), ColumnType.DECIMAL),
    **dict.fromkeys(("quote_time", "fx_time", "fetched_at", "stored_at"), ColumnType.TIME),
    **dict.fromkeys(("start_time", "effective_time", "first_seen", "last_seen"), ColumnType.TIME),
    **dict.fromkeys(("effective_date", "date_added"), ColumnType.DATE),
    "volume": ColumnType.INTEGER,
}


class Dataset(StrEnum):
    """The kinds of rows that can be exported."""

    QUOTES = "quotes"
    BARS = "bars"
    ACTIONS = "actions"
    CONSTITUENTS = "constituents"

    @property
    def columns(self) -> dict[str, ColumnType]:
        """Name and type of each column, in order."""
        names = _COLUMNS[self].split()
        return {name: _TYPES.get(name, ColumnType.TEXT) for name in names}


_COLUMNS = {
    Dataset.QUOTES: (
        "symbol quote_time price change percent_change currency converted_price converted_currency fx_rate fx_time "
        "market_state volume fetched_at stored_at"
    ),
    Dataset.BARS: (
        "symbol resolution start_time open high low close volume currency source fetched_at stored_at"
    ),
    Dataset.ACTIONS: (
        "symbol effective_date kind numerator denominator amount currency effective_time fetched_at stored_at"
    ),
    Dataset.CONSTITUENTS: (
        "symbol cik name sector sub_industry headquarters founded date_added first_seen last_seen"
    ),
}
"""The columns of the queries `export_*`."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows to export."""

    dataset: Dataset
    start: datetime
    """UTC."""
    end: datetime
    """UTC, exclusive."""
    symbols: tuple[str, ...] | None = None
    """As listed; None for all."""
    resolution: str | None = None
    """Resolution of the bars; None for all."""


def csv_blocks(connection: Connection, selection: Selection) -> Generator[bytes, None, int]:
    """The rows as CSV (RFC 4180 with line feeds), column names first, in blocks of whole lines; returns their number.

    Numbers have all their digits, times are in UTC. Text that a spreadsheet would interpret as a formula is preceded by
    an apostrophe.

    Raises:
        DatabaseError: with its SQLSTATE; the blocks yielded so far are incomplete.
    """
    expressions = [
        _without_formula(name) if kind is ColumnType.TEXT else name
        for name, kind in selection.dataset.columns.items()
    ]
    return (yield from copy_blocks(connection, selection, expressions, "csv, HEADER")) - 1


def copy_blocks(
    connection: Connection, selection: Selection, expressions: Sequence[str], form: str
) -> Generator[bytes, None, int]:
    """The values of SQL expressions for each row in a format of COPY, in blocks of whole lines; returns their number.

    Raises:
        DatabaseError: see `csv_blocks`.
    """
    query = QUERIES[f"export_{selection.dataset}"].partition("\n")[2]
    statement = (
        f"COPY (SELECT {', '.join(expressions)} FROM (\n{query}) AS exported) TO STDOUT (FORMAT {form})"  # noqa: S608
    )
    values = {
        "start": selection.start,
        "end": selection.end,
        "symbols": None if selection.symbols is None else list(selection.symbols),
        "resolution": selection.resolution,
    }
    try:
        with transaction(connection), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO', true)")
            with cursor.copy(statement, values) as copy:
                return (yield from _joined(copy, connection.pgconn))
    except psycopg.Error as error:
        raise _export_error(connection, selection.dataset, error) from None


def _joined(copy: psycopg.Copy, pgconn: PGconn) -> Generator[bytes, None, int]:
    """The rows of a COPY joined into blocks; returns the number of rows."""
    block, rows, size = bytearray(), 0, 0
    while size >= 0 and (row := copy.read()):
        # `read` waits for a row; rows received with it are read at a quarter of its cost.
        size = len(row)
        while size > 0:
            rows += 1
            block += row
            if len(block) >= BLOCK_BYTES:
                yield bytes(block)
                block.clear()
            size, row = pgconn.get_copy_data(1)
    if size < 0:
        # Read all of them before raising an error, so that the connection is ready for the next command.
        for result in list(iter(pgconn.get_result, None)):
            raise_on_error(result)
    if block:
        yield bytes(block)
    return rows


def _without_formula(column: str) -> str:
    """The SQL expression of a text column with an apostrophe before text that a spreadsheet would run as a formula."""
    # Nearly every value starts with a letter: the first comparison decides.
    return (
        f"CASE WHEN {column} COLLATE \"C\" >= 'A' AND {column} COLLATE \"C\" < '{{' THEN {column} "
        f"WHEN strpos(E'{_FORMULA_STARTS}\\t\\r\\n', left({column}, 1)) > 0 AND {column} <> '' "
        f"THEN '''' || {column} ELSE {column} END AS {column}"
    )


def _export_error(connection: Connection, dataset: Dataset, error: psycopg.Error) -> DatabaseError:
    if error.sqlstate == _UNDEFINED_TABLE and not _is_migrated(connection):
        return DatabaseError(
            f"the database has no table for {dataset} yet; `sp500tui database prepare` creates the missing tables",
            error.sqlstate,
        )
    return read_error(f"the {dataset} could not be exported", error)


def _is_migrated(connection: Connection) -> bool:
    try:
        return is_migrated(connection)
    except psycopg.Error:
        return True

"""Streams rows out of the database as CSV or JSON lines; memory does not grow with the number of rows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

import psycopg

from sp500tui.errors import DatabaseError
from sp500tui.storage.connection import query_error
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.transaction import Connection, transaction

BLOCK_BYTES = 1 << 18
"""Size in bytes from which on a block is passed on."""
_FORMULA_STARTS = "=+-@|%%"
"""Characters as in `sp500tui.export`, the percent sign doubled for psycopg."""
_UNDEFINED_TABLE = "42P01"


class ColumnType(Enum):
    """What a column holds."""

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
    """What can be exported."""

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
    """Which rows to export."""

    dataset: Dataset
    start: datetime
    """UTC."""
    end: datetime
    """UTC, exclusive."""
    symbols: tuple[str, ...] | None = None
    """As listed; None for all."""
    resolution: str | None = None
    """Of bars; None for all."""


def csv_blocks(
    connection: Connection, selection: Selection, *, for_spreadsheets: bool = True
) -> Generator[bytes, None, int]:
    """The rows as CSV (RFC 4180 with line feeds), the column names first, in blocks of whole lines; returns how many.

    Numbers have all their digits, times are in UTC. With `for_spreadsheets`, text that a spreadsheet would take for a
    formula is preceded by an apostrophe.

    Raises:
        DatabaseError: With its SQLSTATE; what was yielded before is incomplete.
    """
    columns = selection.dataset.columns
    expressions = [
        _without_formula(name) if for_spreadsheets and kind is ColumnType.TEXT else name
        for name, kind in columns.items()
    ]
    yield ",".join(columns).encode() + b"\n"
    return (yield from _copy(connection, selection, ", ".join(expressions), "(FORMAT csv)"))


def json_blocks(connection: Connection, selection: Selection) -> Generator[bytes, None, int]:
    """The rows as one JSON object a line; returns how many.

    Numbers have all their digits; dates and times are ISO 8601, in UTC.

    Raises:
        DatabaseError: As `csv_blocks`.
    """
    with closing(_copy(connection, selection, "row_to_json(exported)", "")) as blocks:
        while True:
            try:
                block = next(blocks)
            except StopIteration as end:
                return int(end.value)
            # COPY's text format doubles backslashes and escapes control characters, of which JSON text has none.
            yield block.replace(b"\\\\", b"\\")


def _copy(
    connection: Connection, selection: Selection, expressions: str, options: str
) -> Generator[bytes, None, int]:
    query = QUERIES[f"export_{selection.dataset}"].partition("\n")[2]
    statement = f"COPY (SELECT {expressions} FROM (\n{query}) AS exported) TO STDOUT {options}"  # noqa: S608
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
                block, rows = bytearray(), 0
                for row in copy:
                    rows += 1
                    block += row
                    if len(block) >= BLOCK_BYTES:
                        yield bytes(block)
                        block.clear()
                if block:
                    yield bytes(block)
                return rows
    except psycopg.Error as error:
        raise _export_error(selection.dataset, error) from None


def _without_formula(column: str) -> str:
    """The SQL expression of a text column with an apostrophe before what a spreadsheet would take for a formula."""
    # Nearly every value starts with a letter: the first comparison decides.
    return (
        f"CASE WHEN {column} COLLATE \"C\" >= 'A' AND {column} COLLATE \"C\" < '{{' THEN {column} "
        f"WHEN strpos(E'{_FORMULA_STARTS}\\t\\r\\n', left({column}, 1)) > 0 AND {column} <> '' "
        f"THEN '''' || {column} ELSE {column} END AS {column}"
    )


def _export_error(dataset: Dataset, error: psycopg.Error) -> DatabaseError:
    if error.sqlstate == _UNDEFINED_TABLE:
        return DatabaseError(
            f"the database has no table for {dataset} yet; `sp500tui database prepare` creates the missing tables",
            error.sqlstate,
        )
    return query_error(f"the {dataset} could not be exported", error)

"""Rows of the database as Parquet, by way of CSV, which pyarrow parses without an object for each value."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from typing import IO

import pyarrow
from pyarrow import csv, parquet

from sp500tui.errors import Sp500tuiError
from sp500tui.logs.redaction import one_line
from sp500tui.storage.export.rows import ColumnType, Selection, csv_blocks
from sp500tui.storage.transaction import Connection

_GROUP_BYTES = 8 << 20
"""Size in bytes of the CSV of a row group."""
_PRECISION, _SCALE = 38, 18
"""Digits of a decimal, and those of them after the point."""


def write_parquet(connection: Connection, selection: Selection, file: IO[bytes] | io.RawIOBase) -> int:
    """Write the rows, compressed with Zstandard; returns how many. Decimals are decimal128(38, 18), times in UTC.

    Raises:
        DatabaseError: As `csv_blocks`.
        Sp500tuiError: A number has more digits than the type holds.
    """
    schema = _schema(selection)
    read = csv.ReadOptions(column_names=schema.names, block_size=2 * _GROUP_BYTES)
    convert = csv.ConvertOptions(
        column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    rows = 0
    with (
        closing(csv_blocks(connection, selection, for_spreadsheets=False)) as blocks,
        parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for group in _groups(blocks):
            try:
                table = csv.read_csv(
                    io.BytesIO(group),
                    read_options=read,
                    parse_options=csv.ParseOptions(newlines_in_values=True),
                    convert_options=convert,
                )
            except pyarrow.ArrowInvalid as error:
                raise Sp500tuiError(
                    f"the {selection.dataset} do not fit into Parquet: {one_line(str(error))}; use --format csv"
                ) from error
            writer.write_table(table)
            rows += table.num_rows
    return rows


def _schema(selection: Selection) -> pyarrow.Schema:
    types = {
        ColumnType.TEXT: pyarrow.string(),
        ColumnType.DECIMAL: pyarrow.decimal128(_PRECISION, _SCALE),
        ColumnType.INTEGER: pyarrow.int64(),
        ColumnType.TIME: pyarrow.timestamp("us", "UTC"),
        ColumnType.DATE: pyarrow.date32(),
    }
    return pyarrow.schema([(name, types[kind]) for name, kind in selection.dataset.columns.items()])


def _groups(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks after the line of column names, joined to row groups."""
    next(blocks)
    group = bytearray()
    for block in blocks:
        group += block
        if len(group) >= _GROUP_BYTES:
            yield bytes(group)
            group.clear()
    if group:
        yield bytes(group)

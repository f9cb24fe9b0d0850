"""Rows of the database as Parquet, converted from CSV, which pyarrow parses without an object for each value."""

from __future__ import annotations

import io
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import closing
from typing import IO

import pyarrow
from pyarrow import csv, parquet

from sp500tui.errors import Sp500tuiError
from sp500tui.logs.redaction import one_line
from sp500tui.storage.export.rows import ColumnType, Dataset, Selection, copy_blocks
from sp500tui.storage.transaction import Connection

_GROUP_BYTES = 8 << 20
"""Size in bytes of the CSV of a row group."""
_MAX_BLOCK = 1 << 30
"""Bytes; a block is parsed in one piece."""
_PRECISION, _SCALE = 38, 18
"""Precision and scale of a decimal."""


def write_parquet(connection: Connection, selection: Selection, file: IO[bytes] | io.RawIOBase) -> int:
    """Write the rows, compressed with Zstandard; returns their number. Decimals are decimal128(38, 18), times in UTC.

    Raises:
        DatabaseError: see `csv_blocks`.
        Sp500tuiError: a number has more digits than the type holds.
    """
    schema = _schema(selection)
    rows = 0
    with (
        closing(copy_blocks(connection, selection, list(schema.names), "csv")) as blocks,
        parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for group in _groups(blocks, selection.dataset, schema):
            writer.write_table(group)
            rows += group.num_rows
    return rows


def _groups(blocks: Iterator[bytes], dataset: Dataset, schema: pyarrow.Schema) -> Iterator[pyarrow.Table]:
    """The rows of the blocks in row groups.

    Each block is parsed when it arrives, while the server fills the connection's buffer with the next one.
    """
    read = csv.ReadOptions(column_names=schema.names, block_size=_MAX_BLOCK, use_threads=False)
    parsing = csv.ParseOptions(newlines_in_values=True)
    convert = csv.ConvertOptions(
        column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    tables: list[pyarrow.Table] = []
    size = 0
    for block in blocks:
        # The parser drops a byte order mark at the start, which may belong to a text.
        data = BOM_UTF8 + block if block.startswith(BOM_UTF8) else block
        try:
            tables.append(csv.read_csv(pyarrow.BufferReader(data), read, parsing, convert))
        except pyarrow.ArrowInvalid as error:
            raise Sp500tuiError(
                f"the {dataset} do not fit into Parquet: {one_line(str(error))}; use --format csv"
            ) from error
        size += len(block)
        if size >= _GROUP_BYTES:
            yield pyarrow.concat_tables(tables)
            tables, size = [], 0
    if tables:
        yield pyarrow.concat_tables(tables)


def _schema(selection: Selection) -> pyarrow.Schema:
    types = {
        ColumnType.TEXT: pyarrow.string(),
        ColumnType.DECIMAL: pyarrow.decimal128(_PRECISION, _SCALE),
        ColumnType.INTEGER: pyarrow.int64(),
        ColumnType.TIME: pyarrow.timestamp("us", "UTC"),
        ColumnType.DATE: pyarrow.date32(),
    }
    return pyarrow.schema([(name, types[kind]) for name, kind in selection.dataset.columns.items()])

"""`sp500tui export quotes|bars|actions|constituents`: streams rows of the database to a file or standard output."""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from collections.abc import Callable, Generator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sp500tui.cli.commands.data.window import parse_window
from sp500tui.cli.context import configuration_of, start
from sp500tui.cli.output import output_path
from sp500tui.config.symbols import parse_symbols, split_symbols
from sp500tui.errors import ConfigurationError, DatabaseError, ExitCode
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_message, write_output_bytes
from sp500tui.output_file import output_file

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from sp500tui.storage.export.rows import Selection
    from sp500tui.storage.transaction import Connection

    Writer = Callable[[Connection, Selection, IO[bytes] | io.RawIOBase], int]
    """Writes the rows of a selection to a file; returns their number."""

_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""Format by the suffix of the file."""
_OTHER_FORMATS = frozenset({".json", ".tsv", ".xls", ".xlsx", ".gz", ".bz2", ".xz", ".zst", ".zip"})
"""Suffixes of unsupported formats: the content would not match the name."""
_DEFAULT = "csv"


def run(namespace: Namespace) -> int:
    """Export the rows; the number of rows in a file is reported on stderr."""
    from sp500tui.storage.connection import connect
    from sp500tui.storage.database import Database

    configuration = configuration_of(namespace)
    selection = selection_of(namespace)
    output = None if namespace.output is None else output_path(namespace.output)
    form = namespace.format or _form_of(output)
    if form == "parquet" and output is None and sys.stdout is not None and sys.stdout.isatty():
        raise ConfigurationError("Parquet is binary and stdout is a terminal; name a file with -o FILE")
    write = _writer_of(form)
    settings = configuration.settings
    paths = start(configuration)
    if not Database.exists(settings.database, paths.data):
        raise DatabaseError(
            f"data folder {paths.data} has no database yet; start sp500tui, or name the folder of a database with "
            "--data-dir DIR"
        )
    destination = nullcontext(_StandardOutput()) if output is None else output_file(output)
    with (
        destination as file,
        Database.open(settings.database, paths.data) as database,
        connect(database.url, application_name="sp500tui export", read_only=True) as connection,
    ):
        rows = write(connection, selection, file)
    if output is not None:
        write_message(plain(f"exported {rows:,} {selection.dataset} to {output}"))
    elif not rows:
        write_message(f"no {selection.dataset} match; check --from, --to and --symbols")
    return ExitCode.OK


def _form_of(output: Path | None) -> str:
    """The format that the file's suffix denotes.

    Raises:
        ConfigurationError: the suffix denotes an unsupported format.
    """
    suffix = "" if output is None else output.suffix.lower()
    if suffix in _OTHER_FORMATS:
        raise ConfigurationError(
            f"--output {output}: {suffix} files are not written; name it .csv, .jsonl or .parquet, or give --format"
        )
    return _FORMATS.get(suffix, _DEFAULT)


def selection_of(namespace: Namespace) -> Selection:
    """The rows that a command line selects.

    Raises:
        ConfigurationError: a date or a symbol is malformed, or the options do not fit together.
    """
    from sp500tui.storage.export.rows import Dataset, Selection

    dataset = Dataset(namespace.dataset)
    if namespace.resolution and dataset is not Dataset.BARS:
        raise ConfigurationError(f"--resolution is for bars; leave it out with `export {dataset}`")
    first, last = parse_window(namespace.start, namespace.end)
    return Selection(dataset, first, last, symbols_of(namespace.only_symbols), namespace.resolution)


def symbols_of(text: str | None) -> tuple[str, ...] | None:
    """The symbols of `--symbols`; None without it.

    Raises:
        ConfigurationError: one is malformed, or there is none.
    """
    if text is None:
        return None
    try:
        symbols = parse_symbols(split_symbols(text))
    except ValueError as error:
        raise ConfigurationError(f"--symbols: {error}") from None
    if not symbols:
        raise ConfigurationError("--symbols contains no symbol; write it as --symbols AAPL,MSFT")
    return symbols


def _writer_of(form: str) -> Writer:
    """The function that writes a format.

    Raises:
        ConfigurationError: it needs a library that is not installed.
    """
    from sp500tui.storage.export.json_lines import json_blocks
    from sp500tui.storage.export.rows import csv_blocks

    if form == "parquet":
        try:
            from sp500tui.storage.export.parquet import write_parquet
        except ImportError as error:
            raise ConfigurationError(
                "Parquet needs pyarrow; install sp500tui[parquet], or use --format csv or jsonl"
            ) from error
        return write_parquet
    blocks = csv_blocks if form == "csv" else json_blocks
    return lambda connection, selection, file: _write_blocks(blocks(connection, selection), file.write)


def _write_blocks(blocks: Generator[bytes, None, int], write: Callable[[bytes], object]) -> int:
    with closing(blocks):
        while True:
            try:
                block = next(blocks)
            except StopIteration as end:
                return int(end.value)
            write(block)


class _StandardOutput(io.RawIOBase):
    """Standard output as a file; if the reader has closed the pipe, the program ends without an error message."""

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        block = bytes(data)
        write_output_bytes(block)
        return len(block)

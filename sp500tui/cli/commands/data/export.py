"""`sp500tui export quotes|bars|actions|constituents`: streams rows of the database to a file or standard output."""

from __future__ import annotations

import io
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sp500tui.cli.commands.data.window import parse_window
from sp500tui.cli.context import configuration_of, start
from sp500tui.config.paths import Paths
from sp500tui.config.symbols import parse_symbols, split_symbols
from sp500tui.errors import ConfigurationError, ExitCode, Sp500tuiError
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_message, write_output_bytes

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from sp500tui.storage.export.rows import Selection
    from sp500tui.storage.transaction import Connection

_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""Format by the suffix of the file."""


def run(namespace: Namespace) -> int:
    """Export the rows; the number of rows in a file is reported on stderr."""
    from sp500tui.storage.connection import connect
    from sp500tui.storage.database import Database

    configuration = configuration_of(namespace)
    selection = selection_of(namespace)
    output = None if namespace.output in (None, "-") else Path(namespace.output)
    form = namespace.format or _FORMATS.get(output.suffix.lower() if output else "", "csv")
    if form == "parquet" and output is None and sys.stdout is not None and sys.stdout.isatty():
        raise ConfigurationError("Parquet is binary and stdout is a terminal; name a file with -o FILE")
    settings = configuration.settings
    paths = start(configuration, Paths.prepare) if settings.database is None else start(configuration)
    with (
        Database.open(settings.database, paths.data) as database,
        connect(database.url, application_name="sp500tui export", read_only=True) as connection,
    ):
        if output is None:
            if not _export(connection, selection, form, _StandardOutput()):
                write_message(f"no {selection.dataset} match; check --from, --to and --symbols")
            return ExitCode.OK
        with replaced_file(output) as file:
            rows = _export(connection, selection, form, file)
    write_message(plain(f"exported {rows:,} {selection.dataset} to {output}"))
    return ExitCode.OK


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


def _export(connection: Connection, selection: Selection, form: str, file: IO[bytes] | io.RawIOBase) -> int:
    from sp500tui.storage.export.rows import csv_blocks, json_blocks

    if form == "parquet":
        from sp500tui.storage.export.parquet import write_parquet

        return write_parquet(connection, selection, file)
    return _write_blocks((csv_blocks if form == "csv" else json_blocks)(connection, selection), file.write)


def _write_blocks(blocks: Generator[bytes, None, int], write: Callable[[bytes], object]) -> int:
    with closing(blocks):
        while True:
            try:
                block = next(blocks)
            except StopIteration as end:
                return int(end.value)
            write(block)


class _StandardOutput(io.RawIOBase):
    """Standard output as a file; a reader that has closed the pipe ends the program quietly."""

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        block = bytes(data)
        write_output_bytes(block)
        return len(block)


@contextmanager
def replaced_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that replaces `path` when the block ends without an error; otherwise `path` stays as it was.

    Raises:
        Sp500tuiError: it cannot be written.
    """
    target = Path(os.path.realpath(path))
    # A pipe or a device cannot be replaced.
    in_place = target.exists() and not target.is_file()
    part = target if in_place else target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("wb" if in_place else "xb") as file:
                yield file
                file.flush()
                if not in_place:
                    os.fsync(file.fileno())
            if not in_place:
                part.replace(target)
        except BaseException:
            if not in_place:
                part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Sp500tuiError(
            f"cannot export to {path}: {error.strerror or error}; choose a file you may write, on a disk with room"
        ) from error

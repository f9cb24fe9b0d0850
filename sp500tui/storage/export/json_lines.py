"""Rows of the database as JSON lines, made from the text of COPY without creating an object for each value."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from contextlib import closing

from sp500tui.storage.export.rows import ColumnType, Selection, copy_blocks
from sp500tui.storage.transaction import Connection

_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPED = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
"""Characters that COPY's text format escapes, in addition to the backslash."""
_NULL = b"\\N"
_QUOTED_NUMBERS = {value: b'"%s"' % value for value in (b"NaN", b"Infinity", b"-Infinity")}
"""Numbers that JSON lacks, as PostgreSQL's JSON functions write them."""
_CACHED_TEXTS = 10_000


def json_blocks(connection: Connection, selection: Selection) -> Generator[bytes, None, int]:
    """The rows as one JSON object per line, in blocks of whole lines; returns the number of rows.

    The objects equal PostgreSQL's `row_to_json`: numbers have all their digits; dates and times are ISO 8601, in UTC.

    Raises:
        DatabaseError: see `csv_blocks`.
    """
    lines = _Lines(selection.dataset.columns)
    # The server encodes dates and times, which are nearly all different; numbers are the same in JSON.
    expressions = [
        f"to_json({name})" if kind in (ColumnType.TIME, ColumnType.DATE) else name
        for name, kind in selection.dataset.columns.items()
    ]
    with closing(copy_blocks(connection, selection, expressions, "text")) as blocks:
        while True:
            try:
                block = next(blocks)
            except StopIteration as end:
                return int(end.value)
            yield lines.of(block)


class _Lines:
    """Converts lines of COPY to JSON lines."""

    def __init__(self, columns: dict[str, ColumnType]) -> None:
        names = [f",{json.dumps(name)}:".encode() for name in columns]
        self._names = [b"}\n{" + names[0][1:], *names[1:]]
        """The text before each value."""
        kinds = list(columns.values())
        self._texts = [index for index, kind in enumerate(kinds) if kind is ColumnType.TEXT]
        self._decimals = [index for index, kind in enumerate(kinds) if kind is ColumnType.DECIMAL]
        self._strings = _JsonStrings()

    def of(self, block: bytes) -> bytes:
        """The same rows as JSON."""
        width = len(self._names)
        cells = block.replace(b"\n", b"\t").split(b"\t")
        last = cells.pop()  # empty: after the last line feed
        for index in self._texts:
            cells[index::width] = map(self._strings.__getitem__, cells[index::width])
        if b"NaN" in block or b"Infinity" in block:
            for index in self._decimals:
                cells[index::width] = [_QUOTED_NUMBERS.get(cell, cell) for cell in cells[index::width]]
        pieces = [last] * (2 * len(cells))
        pieces[0::2] = self._names * (len(cells) // width)
        pieces[1::2] = cells
        lines = b"".join(pieces)[2:] + b"}\n"
        # A backslash in a string is escaped by another one, so this is a value.
        return lines.replace(b":" + _NULL, b":null") if _NULL in block else lines


class _JsonStrings(dict[bytes, bytes]):
    """The text of a column as COPY writes it → the JSON string. Symbols and currencies recur, so they are cached."""

    def __missing__(self, cell: bytes) -> bytes:
        if cell == _NULL:
            return _NULL
        text = _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), cell)
        # A database without an encoding may hold bytes that are not UTF-8.
        string = json.dumps(text.decode("utf-8", "surrogateescape"), ensure_ascii=False)
        if len(self) >= _CACHED_TEXTS:
            self.clear()
        self[cell] = encoded = string.encode("utf-8", "surrogateescape")
        return encoded

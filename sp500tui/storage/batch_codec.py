"""The serialized form of a batch, used in the journal, on the writer's pipe and as query parameters.

A payload holds one PostgreSQL array literal per column (`{AAPL,MSFT}`, `{1.5,NULL}`), in the order of the layout's
columns, separated by line feeds. For a table other than `prices`, the first line is its name. `encode`
checks that no value needs quoting, so that decoding is plain splitting and the server receives the columns unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import Any

from sp500tui.errors import DatabaseError
from sp500tui.model import Bar, BarBlock, ConvertedQuote

Row = ConvertedQuote | Bar
"""The types of rows; all rows of one batch are of one type."""

COLUMNS: tuple[str, ...] = (
    "symbol",
    "quote_time",
    "price",
    "change",
    "percent_change",
    "currency",
    "converted_price",
    "converted_currency",
    "fx_rate",
    "fx_time",
    "market_state",
    "volume",
    "fetched_at",
)
"""Columns of `prices` in the order of the payload; `stored_at` is set by the server."""

BAR_COLUMNS: tuple[str, ...] = (
    "symbol",
    "resolution",
    "start_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "currency",
    "source",
    "fetched_at",
)
"""Columns of `bars` in the order of the payload."""
BAR_SOURCE = "yahoo"
"""The source of a bar that was fetched."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of one table are encoded."""

    table: str
    query: str
    """Name of the statement that inserts a batch."""
    columns: tuple[str, ...]
    fields: Callable[[Any], tuple[Any, ...]]
    """The values of a row in the order of the columns."""
    key: Callable[[tuple[Any, ...]], Any]
    """The primary key of these values, by which a batch is sorted."""
    nullable_text: frozenset[str] = frozenset()
    """Text columns that may be NULL."""

    @property
    def header(self) -> bytes:
        """The first bytes of a payload."""
        return b"" if self.table == "prices" else self.table.encode() + b"\n"


_bar_fields = attrgetter(*(name for name in BAR_COLUMNS if name != "source"))
PRICES = Layout(
    "prices",
    "insert_prices",
    COLUMNS,
    attrgetter(*(name if name.startswith(("converted_", "fx_")) else f"quote.{name}" for name in COLUMNS)),
    itemgetter(0, 1),
)
BARS = Layout(
    "bars",
    "insert_bars",
    BAR_COLUMNS,
    lambda bar: (*(values := _bar_fields(bar))[:-1], BAR_SOURCE, values[-1]),
    itemgetter(0, 1, 2),
    frozenset({"currency"}),
)
_LAYOUTS = {layout.table.encode(): layout for layout in (PRICES, BARS)}
_NULL = "NULL"
_TIME_COLUMNS = frozenset({"quote_time", "fx_time", "fetched_at", "start_time"})
_TEXT_COLUMNS = frozenset(
    {"symbol", "currency", "converted_currency", "market_state", "resolution", "source"}
)
_TIME_CHARACTERS = b"0123456789T:.+-NUL"
_NUMBER_CHARACTERS = b"0123456789.eE+-NUL"
_TEXT_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.^=_&/:+-"
"""Characters allowed in a column: none that an array literal must quote, and no `NaN`."""
_NULL_ELEMENT = re.compile(rb"(?i)(?<![^,])null(?![^,])")

_INVALID_TEXT = "22P02"
"""SQLSTATE `invalid_text_representation`: an error of the row, not of the database."""


def layout_of(payload: bytes) -> Layout:
    """The layout of a payload.

    Raises:
        DatabaseError: with SQLSTATE 22P02 if it is for a table that this version does not know.
    """
    if payload.startswith(b"{"):
        return PRICES
    table = payload.partition(b"\n")[0]
    if table not in _LAYOUTS:
        raise DatabaseError(f"a batch for the table {table[:40]!r} cannot be stored", _INVALID_TEXT)
    return _LAYOUTS[table]


def is_known(payload: bytes) -> bool:
    """Whether this version has the table and the columns of a payload."""
    try:
        parameters(payload)
    except DatabaseError:
        return False
    return True


def encode(rows: Sequence[Row]) -> bytes:
    """Encode rows, sorted by their primary key; rows with equal keys are all kept.

    Numbers are written by `str`, times as ISO 8601 in UTC.

    Raises:
        DatabaseError: with SQLSTATE 22P02 if a value needs quoting.
    """
    if isinstance(rows, BarBlock):
        return _encode_block(rows)
    layout = BARS if rows and isinstance(rows[0], Bar) else PRICES
    table = sorted(map(layout.fields, rows), key=layout.key)
    if not table:
        return b"\n".join([b"{}"] * len(COLUMNS))
    time_text = _TimeText()
    columns: list[Sequence[str]] = []
    for name, values in zip(layout.columns, zip(*table, strict=True), strict=True):
        if name in _TIME_COLUMNS:
            columns.append([_NULL if value is None else time_text[value] for value in values])
        elif name in _TEXT_COLUMNS and name not in layout.nullable_text:
            columns.append(values)
        else:
            columns.append([_NULL if value is None else str(value) for value in values])
    return _join(layout, columns)


def encode_records(records: Sequence[Mapping[str, str | None]]) -> bytes:
    """Encode records as returned by `decode`, in the given order.

    Raises:
        DatabaseError: with SQLSTATE 22P02 if a value needs quoting or is missing.
    """
    layout = BARS if records and "resolution" in records[0] else PRICES
    try:
        return _join(
            layout,
            (
                [_NULL if record[name] is None else str(record[name]) for record in records]
                for name in layout.columns
            ),
        )
    except KeyError as error:
        raise DatabaseError(f"a row without the column {error} cannot be stored", _INVALID_TEXT) from error


def decode(payload: bytes) -> list[dict[str, str | None]]:
    """Decode into records of column name → text, None for NULL; bytes that are not UTF-8 become U+FFFD."""
    layout = layout_of(payload)
    columns = [_elements(column) for column in parameters(payload)]
    return [
        {
            name: None if value == b"NULL" else value.decode("utf-8", "replace")
            for name, value in zip(layout.columns, row, strict=True)
        }
        for row in zip(*columns, strict=True)
    ]


def count(payload: bytes) -> int:
    """The number of rows in the payload."""
    return len(_elements(payload.removeprefix(layout_of(payload).header).partition(b"\n")[0]))


def split(payload: bytes, parts: int = 2) -> list[bytes]:
    """Split the payload into `parts` whose lengths differ by at most one row; into fewer if it has fewer rows."""
    header = layout_of(payload).header
    columns = [_elements(column) for column in parameters(payload)]
    rows = len(columns[0])
    parts = max(1, min(parts, rows))
    bounds = [rows * number // parts for number in range(parts + 1)]
    return [
        header + b"\n".join(_literal(column[start:end]) for column in columns)
        for start, end in pairwise(bounds)
    ]


def parameters(payload: bytes) -> list[bytes]:
    """The array literals of the payload, one per column: the parameters of the layout's query."""
    layout = layout_of(payload)
    columns = payload.removeprefix(layout.header).split(b"\n")
    if len(columns) != len(layout.columns):
        raise DatabaseError(
            f"a batch of {len(columns)} columns cannot be stored: {len(layout.columns)} expected",
            _INVALID_TEXT,
        )
    return columns


def record_of(row: Row) -> dict[str, str | None]:
    """The values of a row as text, even if it cannot be encoded."""
    layout = BARS if isinstance(row, Bar) else PRICES
    values = zip(layout.columns, layout.fields(row), strict=True)
    return {name: None if value is None else str(value) for name, value in values}


def _encode_block(block: BarBlock) -> bytes:
    """Encode a block column by column, without a `Bar` for each row."""

    def column(name: str, values: Sequence[str]) -> bytes:
        return _column_text(BARS, name, values)

    def repeated(name: str, value: str) -> bytes:
        return b",".join([column(name, [value])] * len(block))

    volumes = [_NULL if volume is None else str(volume) for volume in block.volumes]
    columns = (
        repeated("symbol", block.symbol),
        repeated("resolution", str(block.resolution)),
        _start_texts(tuple(block.starts)),
        column("open", block.opens),
        column("high", block.highs),
        column("low", block.lows),
        column("close", block.closes),
        column("volume", volumes),
        repeated("currency", block.currency or _NULL),
        repeated("source", BAR_SOURCE),
        repeated("fetched_at", block.fetched_at.astimezone(UTC).isoformat()),
    )
    return BARS.header + b"\n".join(b"{" + each + b"}" for each in columns)


@lru_cache(maxsize=16)
def _start_texts(starts: tuple[int, ...]) -> bytes:
    """The times of a block as a column; cached because all symbols have bars at the same times."""
    return ",".join(datetime.fromtimestamp(start, UTC).isoformat() for start in starts).encode()


class _TimeText(dict[datetime, str]):
    """Cache of times formatted as ISO 8601; most rows of a batch share a few times."""

    def __missing__(self, time: datetime) -> str:
        text = self[time] = (time if time.tzinfo is UTC else time.astimezone(UTC)).isoformat()
        return text


def _join(layout: Layout, columns: Iterable[Sequence[str]]) -> bytes:
    return layout.header + b"\n".join(
        b"{" + _column_text(layout, name, column) + b"}"
        for name, column in zip(layout.columns, columns, strict=True)
    )


def _column_text(layout: Layout, name: str, column: Sequence[str]) -> bytes:
    text = ",".join(column).encode("utf-8", "replace")
    if not column or _is_unquoted(layout, name, text, len(column)):
        return text
    invalid = next(
        value for value in column if not _is_unquoted(layout, name, value.encode("utf-8", "replace"), 1)
    )
    raise DatabaseError(f"the {name} {invalid[:40]!r} cannot be stored: unexpected characters", _INVALID_TEXT)


def _is_unquoted(layout: Layout, name: str, text: bytes, values: int) -> bool:
    """Whether the joined values hold only allowed characters, no empty element and no unintended NULL."""
    is_text = name in _TEXT_COLUMNS
    allowed = (
        _TEXT_CHARACTERS if is_text else _TIME_CHARACTERS if name in _TIME_COLUMNS else _NUMBER_CHARACTERS
    )
    if text.translate(None, allowed) != b"," * (values - 1):
        return False
    if not text or text.startswith(b",") or text.endswith(b",") or b",," in text:
        return False
    never_null = is_text and name not in layout.nullable_text
    return not (never_null and b"NULL" in text.upper() and _NULL_ELEMENT.search(text))


def _elements(literal: bytes) -> list[bytes]:
    return literal[1:-1].split(b",") if len(literal) > 2 else []


def _literal(elements: Sequence[bytes]) -> bytes:
    return b"{" + b",".join(elements) + b"}"

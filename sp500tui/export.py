"""Tables as CSV that no spreadsheet executes, as JSON with exact numbers, and as lines for the clipboard."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from sp500tui.output_file import output_file

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = str | int | float | Decimal | date | datetime | None
Row = Mapping[str, Value]
_FORMULA_STARTS = ("=", "+", "-", "@", "|", "%", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Table:
    """Records in the order in which they are shown."""

    name: str
    """One word for the content: `prices`."""
    kind: type[DataclassInstance]
    """Class of the records; its fields are the columns."""
    records: Sequence[DataclassInstance]

    def columns(self) -> list[str]:
        """The names of the columns."""
        return [field.name for field in fields(self.kind)]

    def rows(self) -> list[Row]:
        """The records as mappings from column to value."""
        return [row_of(record) for record in self.records]


def row_of(record: DataclassInstance) -> Row:
    """The fields of a record, by name."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def as_csv(columns: Sequence[str], rows: Iterable[Row], line_end: str = "\r\n") -> str:
    """A line of column names and one line per row, as RFC 4180 describes; `line_end` is its line end.

    Text that a spreadsheet would interpret as a formula is preceded by an apostrophe. Decimals keep all their digits.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerow(columns)
    writer.writerows([_without_formula(row[name]) for name in columns] for row in rows)
    return text.getvalue()


def as_json(rows: Iterable[Row]) -> str:
    """An array of objects, one per line. Decimals are numbers with all their digits; dates and times are ISO 8601."""
    lines = [
        "  {" + ", ".join(f"{json.dumps(name)}: {_json_token(value)}" for name, value in row.items()) + "}"
        for row in rows
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def as_line(record: DataclassInstance) -> str:
    """One record as a tab-separated line for the clipboard."""
    return "\t".join(" ".join(_text(value).split()) for value in row_of(record).values())


def write_table(table: Table, path: Path) -> None:
    """Write the records to `path` as CSV, or as JSON where its name ends in `.json`.

    Raises:
        Sp500tuiError: see `output_file`.
    """
    text = as_json(table.rows()) if path.suffix == ".json" else as_csv(table.columns(), table.rows())
    with output_file(path) as file:
        file.write(text.encode(errors="backslashreplace"))


def _text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _without_formula(value: Value) -> str:
    text = _text(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text


def _json_token(value: Value) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return json.dumps(value.isoformat() if isinstance(value, date) else value, ensure_ascii=False)

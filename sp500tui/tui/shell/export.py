"""Tables that leave the program as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from sp500tui.errors import Sp500tuiError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as they are shown, in their order."""

    name: str
    """What they are, in one word: `prices`."""
    kind: type[DataclassInstance]
    """Of a record; its fields are the columns."""
    records: Sequence[DataclassInstance]


def _plain(value: object) -> str | int | float | None:
    """A value as CSV and JSON carry it; decimals stay text so that no digit is lost."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if isinstance(value, int | float) or value is None else str(value)


def _guarded(value: object) -> str | int | float | None:
    """A value for a spreadsheet: text that it would take for a formula gets a leading apostrophe."""
    plain = _plain(value)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return plain


def as_csv(table: Table) -> str:
    """The records below a line of column names, guarded against formula injection; RFC 4180."""
    names = [field.name for field in fields(table.kind)]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_guarded(getattr(record, name)) for name in names] for record in table.records)
    return text.getvalue()


def as_json(table: Table) -> str:
    """The records as an array of objects; prices are strings, as they would lose digits as numbers."""
    names = [field.name for field in fields(table.kind)]
    plain = [{name: _plain(getattr(record, name)) for name in names} for record in table.records]
    return json.dumps(plain, ensure_ascii=False, indent=2) + "\n"


def as_line(record: DataclassInstance) -> str:
    """One record as a tab-separated line for the clipboard."""
    values = (_plain(getattr(record, field.name)) for field in fields(record))
    return "\t".join("" if value is None else " ".join(str(value).split()) for value in values)


def write_table(table: Table, path: Path) -> None:
    """Write the records to `path` as CSV, or as JSON where it ends in `.json`.

    Raises:
        Sp500tuiError: the file cannot be written.
    """
    text = as_json(table) if path.suffix == ".json" else as_csv(table)
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise Sp500tuiError(
            f"cannot export {len(table.records)} rows to {path}: {error.strerror or error}; "
            "choose a folder you may write to"
        ) from error

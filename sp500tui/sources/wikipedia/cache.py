"""The last good list of constituents on disk, and the one bundled with the package."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path

from sp500tui.errors import SourceError
from sp500tui.logs.redaction import one_line
from sp500tui.model import Constituent, IndexChange
from sp500tui.sources.wikipedia.dates import parse_written_date
from sp500tui.sources.wikipedia.table import checked, constituent_of, plausible_symbol
from sp500tui.sources.yahoo.json_values import get_path

_FILE = "constituents.json"
_LARGEST = 8 << 20
BUNDLED_DATE = datetime(2026, 5, 1, tzinfo=UTC)
"""The month of the bundled list."""


@dataclass(frozen=True, slots=True)
class CachedConstituents:
    """A list read from Wikipedia, with the values that a conditional request needs."""

    url: str
    """The URL, or its hash if it may contain a password."""
    constituents: tuple[Constituent, ...]
    date: datetime
    """When Wikipedia last confirmed it, UTC."""
    etag: str
    last_modified: str
    changes: tuple[IndexChange, ...] | None = None
    """The changes on the same page; None in a cache of version 0.1, which did not keep them."""


def read_cache(folder: Path) -> CachedConstituents | None:
    """The list in the cache folder; None when there is none or it is damaged."""
    try:
        with (folder / _FILE).open("rb") as file:
            content = json.loads(file.read(_LARGEST))
        lines = content["constituents"]
        constituents = tuple(_constituent(line) for line in lines)
        return CachedConstituents(
            url=str(content["url"]),
            constituents=checked(constituents, "the cached list"),
            date=datetime.fromisoformat(content["date"]).astimezone(UTC),
            etag=_header(content["etag"]),
            last_modified=_header(content["last_modified"]),
            changes=_changes(content.get("changes")),
        )
    except (
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        RecursionError,
        OverflowError,
        SourceError,
    ):
        return None


def write_cache(folder: Path, cached: CachedConstituents) -> None:
    """Replace the list in the cache folder in one step; readable by its owner only.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = [
        {**asdict(line), "date_added": line.date_added.isoformat() if line.date_added else ""}
        for line in cached.constituents
    ]
    content = {
        "url": cached.url,
        "date": cached.date.isoformat(),
        "etag": cached.etag,
        "last_modified": cached.last_modified,
        "constituents": lines,
        "changes": [
            {**asdict(change), "effective_date": change.effective_date.isoformat()}
            for change in cached.changes or ()
        ],
    }
    handle, name = tempfile.mkstemp(prefix=f".{_FILE}-", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False)
        Path(name).replace(folder / _FILE)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise


def bundled_constituents() -> tuple[Constituent, ...]:
    """The bundled list."""
    text = resources.files(__package__).joinpath("constituents.csv").read_text(encoding="utf-8")
    return tuple(
        Constituent(
            symbol=line["symbol"],
            name=line["security"],
            sector=line["gics_sector"],
            sub_industry=line["gics_sub_industry"],
            headquarters=line["headquarters"],
            date_added=parse_written_date(line["date_added"]),
            cik=line["cik"],
            founded=line["founded"],
        )
        for line in csv.DictReader(text.splitlines())
    )


def _constituent(line: object) -> Constituent:
    def text(name: str) -> str:
        value = get_path(line, name)
        if not isinstance(value, str):
            raise TypeError(name)
        return one_line(value)

    symbol = text("symbol")
    if not plausible_symbol(symbol):
        raise ValueError(symbol)
    return constituent_of(symbol, text)


def _changes(lines: object) -> tuple[IndexChange, ...] | None:
    if not isinstance(lines, list):
        return None
    texts = [{name: one_line(text) for name, text in line.items()} for line in lines]
    return tuple(
        IndexChange(**{**line, "effective_date": date.fromisoformat(line["effective_date"])})  # type: ignore[arg-type]
        for line in texts
    )


def _header(value: object) -> str:
    """A value that can be sent back in a request header; empty if it cannot."""
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else ""


def header_value(headers: Mapping[str, str], name: str) -> str:
    """A response header that can be sent back later; empty if absent or unsuitable."""
    return _header(headers.get(name, ""))

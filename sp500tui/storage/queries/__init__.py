"""The SQL statements, each in a file of its own."""

from __future__ import annotations

from pathlib import Path


def _read(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.sql"))}


QUERIES: dict[str, str] = _read(Path(__file__).parent)
"""Name → SQL text as it is sent."""

"""The SQL statements, each in a file of its own."""

from __future__ import annotations

from pathlib import Path


def _load(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.rglob("*.sql"))}


QUERIES: dict[str, str] = _load(Path(__file__).parent)
"""Name of the file without its suffix → SQL text as it is sent."""

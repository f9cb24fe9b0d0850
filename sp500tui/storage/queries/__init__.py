"""The SQL statements, each in its own file."""

from __future__ import annotations

from pathlib import Path


def _load(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text("utf-8") for path in sorted(folder.rglob("*.sql"))}


QUERIES: dict[str, str] = _load(Path(__file__).parent)
"""Name of the file without its suffix → SQL text as sent to the server."""


def extension_query(name: str, schema: str) -> str:
    """A statement that calls functions of an extension, as sent to the server.

    Args:
        name: In `QUERIES`; `@extschema@` stands for the schema, as in PostgreSQL's extension scripts.
        schema: Where the extension is created, as a quoted identifier. It need not be in the search path.
    """
    return QUERIES[name].replace("@extschema@", schema)

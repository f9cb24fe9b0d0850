"""The name of a database, from which the folder of its journal follows."""

from __future__ import annotations

import hashlib

from sp500tui.storage.url import without_password


def database_key(url: str | None) -> str:
    """The name of a database's journal folder, so that rows of one database are never stored in another."""
    if url is None:
        return "embedded"
    return hashlib.sha256(without_password(url).encode()).hexdigest()[:12]

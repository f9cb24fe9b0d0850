"""A database with the program's tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sp500tui.storage.connection import connect
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import Connection


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """A connection to a database whose tables are empty."""
    apply_schema(database_url)
    with connect(database_url, application_name="test") as connection:
        yield connection

"""Writes: batches of price rows, constituents and known symbols."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sp500tui.errors import DatabaseError
from sp500tui.model import Constituent
from sp500tui.storage.adaptation import python_codec
from sp500tui.storage.batch_codec import layout_of, parameters
from sp500tui.storage.queries import QUERIES
from sp500tui.storage.statements import execute
from sp500tui.storage.transaction import Connection, run, run_raw

_log = logging.getLogger(__name__)

_TEXT_COLUMNS = ("symbol", "cik", "name", "sector", "sub_industry", "headquarters", "founded")
"""Text columns of `constituents`."""
_UNTRANSLATABLE = "22P05"
"""SQLSTATE `untranslatable_character`: the database encoding lacks the character."""


def insert(connection: Connection, payload: bytes) -> int:
    """Insert a batch in one atomic statement; returns the number of new rows.

    The rows are committed when it returns. When it raises, none is committed, except that after a broken connection
    all may be; the batch can safely be inserted again. One thread at a time may use the connection.

    Raises:
        DatabaseError: with its SQLSTATE, for `is_transient` and `is_bad_row`.
    """
    query, columns = layout_of(payload).query, parameters(payload)
    return execute("the database did not store a batch", lambda: run_raw(connection, query, columns))


def upsert_constituents(
    connection: Connection, constituents: Iterable[Constituent], seen_at: datetime
) -> None:
    """Store the constituents as seen at `seen_at`; existing rows keep their `first_seen`.

    Characters missing from the database encoding are replaced by `?`, with a warning.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    constituents_seen = tuple(constituents)
    server_encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    for codec in ("utf-8", python_codec(server_encoding), "ascii"):
        encodable = sorted(
            {
                (one.symbol, one.cik): one for one in (_encodable(each, codec) for each in constituents_seen)
            }.items()
        )
        values: dict[str, object] = {
            column: [getattr(one, column) for _, one in encodable]
            for column in (*_TEXT_COLUMNS, "date_added")
        }
        try:
            _execute(connection, "upsert_constituents", {**values, "seen_at": seen_at})
        except DatabaseError as error:
            if error.sqlstate != _UNTRANSLATABLE or codec == "ascii":
                raise
        else:
            _warn_of_replacements(server_encoding, constituents_seen, codec)
            return


def _encodable(constituent: Constituent, codec: str) -> Constituent:
    """A copy with every character missing from the encoding replaced by `?`, and without NUL characters."""
    texts = {name: getattr(constituent, name).replace("\0", "") for name in _TEXT_COLUMNS}
    encodable: dict[str, Any] = {
        name: text.encode(codec, "replace").decode(codec) for name, text in texts.items()
    }
    return replace(constituent, **encodable)


def _warn_of_replacements(server_encoding: str, constituents_seen: Iterable[Constituent], codec: str) -> None:
    changed = [one.name for one in constituents_seen if _encodable(one, codec) != one]
    if changed:
        _log.warning(
            "the database's encoding %s cannot represent all characters of %d constituents (%s); they are replaced "
            "by ?; use a database with the encoding UTF8 to keep them",
            server_encoding,
            len(changed),
            ", ".join(changed[:3]),
        )


def upsert_symbols(connection: Connection, symbols: Iterable[str]) -> None:
    """Store the symbols whose prices are requested, constituents or not.

    Symbols with characters outside ASCII are skipped: their prices cannot be stored either.

    Raises:
        DatabaseError: with its SQLSTATE.
    """
    plain = sorted({symbol for symbol in symbols if symbol.isascii()})
    _execute(connection, "upsert_symbols", {"symbols": plain})


def _execute(connection: Connection, query: str, values: Mapping[str, object]) -> None:
    execute(
        "the database did not store the list of constituents",
        lambda: run(connection, QUERIES[query], values),
    )

"""Conversions between Python and PostgreSQL values, independent of database, role and session settings."""

from __future__ import annotations

import codecs
import re
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Zero of PostgreSQL's binary `timestamptz`, which counts microseconds."""
_TEXT_TYPES = ("text", "varchar", "bpchar", "name")


class _TimeLoader(Loader):
    """Loads a `timestamptz` as UTC, in every session time zone."""

    format = Format.BINARY

    def load(self, data: Buffer) -> datetime:
        try:
            return _EPOCH + timedelta(microseconds=int.from_bytes(data, "big", signed=True))
        except OverflowError:
            raise psycopg.DataError("a stored time is outside the years 1 to 9999") from None


class _TextLoader(Loader):
    """Loads text; bytes that are not UTF-8, which a SQL_ASCII database may hold, become U+FFFD."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "replace")


def python_codec(server_encoding: str) -> str:
    """Python's codec for a PostgreSQL encoding; ASCII, a subset of all of them, if Python has none."""
    name = re.sub(r"^WIN(\d+)$", r"cp\1", server_encoding.upper()).replace("KOI8", "koi8-")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "ascii"


def register_loaders(connection: AdaptContext) -> None:
    """Register the loaders on one connection."""
    adapters = connection.adapters
    adapters.register_loader("timestamptz", _TimeLoader)
    for name in _TEXT_TYPES:
        adapters.register_loader(name, _TextLoader)

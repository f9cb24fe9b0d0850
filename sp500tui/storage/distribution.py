"""`sp500tui database prepare`: distributes the tables with Citus, or partitions them with TimescaleDB."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from sp500tui.storage.connection import connect
from sp500tui.storage.queries import extension_query
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.statements import execute
from sp500tui.storage.transaction import Connection, run

CITUS, TIMESCALEDB = "citus", "timescaledb"
_NAMES = {CITUS: "Citus", TIMESCALEDB: "TimescaleDB"}


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of the preparation."""

    query: str
    """Its name in `QUERIES`."""
    makes: str
    """The table or view that the step distributes."""
    description: str
    """Its effect, as the end of a sentence."""


_STEPS = {
    CITUS: (
        Step("distribute_prices", "prices", "distribute the table prices by symbol"),
        Step("distribute_constituents", "constituents", "co-locate the constituents with the prices"),
        Step("distribute_known_symbols", "known_symbols", "co-locate the known symbols with the prices"),
        Step("distribute_bars", "bars", "co-locate the bars with the prices"),
        Step("distribute_coverage", "coverage", "co-locate the coverage with the prices"),
        Step(
            "distribute_corporate_actions",
            "corporate_actions",
            "co-locate the corporate actions with the prices",
        ),
        Step("distribute_memberships", "memberships", "co-locate the memberships with the prices"),
        Step("distribute_sessions", "sessions", "replicate the sessions to every node"),
        Step("fill_known_symbols", "latest_prices", "record the symbols that already have prices"),
        Step(
            "latest_prices_of_known_symbols",
            "latest_prices",
            "make the view latest_prices read each node locally",
        ),
    ),
    TIMESCALEDB: (
        Step("make_hypertable", "prices", "partition the table prices by trade time, a day in each chunk"),
        Step("make_bars_hypertable", "bars", "partition the table bars by start time, a week in each chunk"),
        Step("fill_known_symbols", "latest_prices", "record the symbols that already have prices"),
        Step(
            "latest_prices_of_known_symbols",
            "latest_prices",
            "make the view latest_prices read the newest chunk of each symbol",
        ),
    ),
}
"""Steps by extension, in order."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server and its support for the two extensions."""

    version: str
    """Version of PostgreSQL."""
    created: str | None
    """The extension in this database, Citus before TimescaleDB; None for neither."""
    created_version: str = ""
    schema: str = "public"
    """Schema of the extension's functions in this database, as a quoted identifier."""
    only_installed: tuple[str, ...] = ()
    """Extensions available on the server but not created in this database."""

    @classmethod
    def of(cls, rows: Collection[tuple[Any, ...]], version: str) -> Server:
        """Parse the rows of `available_extensions`."""
        created = {name: (own, schema) for name, own, schema in rows if own is not None}
        for name in _STEPS:
            if name in created:
                return cls(version, name, *created[name])
        return cls(version, None, only_installed=tuple(sorted(name for name, _, _ in rows)))

    def line(self) -> str:
        """One line that describes the server."""
        if self.created is None:
            return f"server    PostgreSQL {self.version} without Citus or TimescaleDB"
        return f"server    PostgreSQL {self.version} with {_NAMES[self.created]} {self.created_version}"


def pending_steps(extension: str, distributed: Collection[str]) -> tuple[Step, ...]:
    """The steps that remain if the `distributed` tables and views exist."""
    return tuple(step for step in _STEPS[extension] if step.makes not in distributed)


def prepare(url: str, *, dry_run: bool = False) -> Generator[str, None, None]:
    """Create the tables, then distribute them; yields a line per step done, or with `dry_run` per step to do.

    Steps already done are skipped. A database with neither extension needs none.

    Raises:
        ConfigurationError: the URL is malformed.
        DatabaseError: the database cannot be reached, or a step fails; `prepare` can be run again.
    """
    if not dry_run:
        apply_schema(url)
    with connect(url, application_name="sp500tui prepare", read_only=dry_run) as connection:
        rows = _execute(connection, "available_extensions", "report its extensions")
        server = Server.of(rows, connection.info.parameter_status("server_version") or "of unknown version")
        yield server.line()
        if server.created is None:
            yield from _nothing_to_do(server)
            return
        pending = pending_steps(server.created, _distributed(connection, server.created))
        for step in pending:
            if dry_run:
                sql = extension_query(step.query, server.schema)
                yield f"would     {step.description}:"
                yield from (f"          {line}" for line in sql.rstrip().splitlines())
            else:
                _execute(connection, step.query, step.description, server.schema)
                yield f"done      {step.description}"
        if not pending:
            yield "nothing   to do: the tables are already distributed"


def _nothing_to_do(server: Server) -> Iterator[str]:
    yield "nothing   to do: a single PostgreSQL server needs no distribution"
    for name in server.only_installed:
        yield (
            f"hint      {_NAMES[name]} is installed on the server but not created in this database: "
            f"run CREATE EXTENSION {name}, then prepare again"
        )


def _distributed(connection: Connection, extension: str) -> set[str]:
    # Before the first run there are no tables, and the view that the query reads does not exist.
    if not _execute(connection, "has_prices", "report its tables")[0][0]:
        return set()
    return {
        name
        for (name,) in _execute(
            connection, f"distributed_tables_{extension}", "report its distributed tables"
        )
    }


def _execute(connection: Connection, query: str, description: str, schema: str = "") -> list[tuple[Any, ...]]:
    def once() -> list[tuple[Any, ...]]:
        cursor = run(connection, extension_query(query, schema))
        return cursor.fetchall() if cursor.description else []

    return execute(f"the database did not {description}", once)

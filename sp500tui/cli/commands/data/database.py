"""`sp500tui database url|psql|status|prepare`: work with the price database, embedded or by URL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from sp500tui.cli.context import configuration_of, start
from sp500tui.config.child_processes import find_program
from sp500tui.config.paths import Paths
from sp500tui.errors import ConfigurationError, ExitCode
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_json, write_output
from sp500tui.pipeline.runtime.stop_signals import deferred_signals

if TYPE_CHECKING:
    from sp500tui.storage.database import Database
    from sp500tui.storage.status import DatabaseStatus, HistoryTotals

_PSQL_NOT_CONNECTED = 2


def run(namespace: Namespace) -> int:
    """Run the action; an embedded server is started if it is not running."""
    from sp500tui.storage.database import Database

    _check_options(namespace)
    configuration = configuration_of(namespace)
    settings = configuration.settings
    paths = start(configuration, Paths.prepare) if settings.database is None else start(configuration)
    database = Database.open(settings.database, paths.data)
    try:
        if namespace.action == "psql":
            return _psql(database, namespace.psql)
        if namespace.action == "prepare":
            return _prepare(database, dry_run=namespace.dry_run)
        return (
            _url(database) if namespace.action == "url" else _status(database, as_json=settings.json_output)
        )
    finally:
        # The URL is for connecting, so it must not be masked.
        database.close(keep_running=namespace.action == "url")


def _check_options(namespace: Namespace) -> None:
    """Reject the options of another action: a script would rely on their effect."""
    for option, action, given in (
        ("--json", "status", hasattr(namespace, "json_output")),
        ("--dry-run", "prepare", namespace.dry_run),
    ):
        if given and namespace.action != action:
            raise ConfigurationError(
                f"{option} is for `database {action}`; leave it out with `database {namespace.action}`"
            )


def _url(database: Database) -> int:
    write_output(database.masked_url + "\n")
    return ExitCode.OK


def _status(database: Database, *, as_json: bool) -> int:
    from sp500tui.storage.status import read_status

    status = read_status(database)
    if as_json:
        write_json(json.dumps(status_json(status)) + "\n")
    else:
        write_output("\n".join(map(plain, status_lines(status))) + "\n")
    return ExitCode.OK


def status_lines(status: DatabaseStatus) -> list[str]:
    """The status as lines of text."""
    lines = [
        f"database      {status.masked_url}",
        f"server        PostgreSQL {status.server_version}, {'embedded' if status.embedded else 'by URL'}",
    ]
    if status.statistics is None or status.latest_trade is None:
        return [*lines, "tables        none yet: the first run creates them"]
    total = status.statistics.total
    size = "" if total.bytes is None else f", {total.bytes / 1e6:,.1f} MB"
    when = status.latest_trade.quote_time
    return [
        *lines,
        f"schema        version {status.schema_version}",
        f"prices        {'' if total.exact else 'about '}{total.rows:,} rows{size}",
        f"symbols       {status.latest_trade.symbols:,} with a price",
        f"newest trade  {when:%Y-%m-%d %H:%M:%S} UTC" if when else "newest trade  none",
        f"constituents  {status.constituents:,}",
        *_history_lines(status.history),
        f"connections   {status.statistics.connections} of {status.statistics.max_connections}",
    ]


def _history_lines(history: HistoryTotals | None) -> list[str]:
    if history is None:
        return []
    return [
        f"bars          {'' if history.bars_exact else 'about '}{history.bars:,} rows",
        f"sessions      {history.sessions:,}, with {history.coverage:,} rows of coverage",
        f"actions       {history.corporate_actions:,} splits, dividends and capital gains",
        f"memberships   {history.memberships:,}",
    ]


def status_json(status: DatabaseStatus) -> dict[str, object]:
    """The status for `--json`: unknown values are null, times are ISO 8601 in UTC."""
    statistics, newest = status.statistics, status.latest_trade
    return {
        "url": status.masked_url,
        "embedded": status.embedded,
        "server_version": status.server_version,
        "schema_version": status.schema_version,
        "rows": statistics.total.rows if statistics else None,
        "rows_exact": statistics.total.exact if statistics else None,
        "bytes": statistics.total.bytes if statistics else None,
        "distributed": statistics.total.distributed if statistics else None,
        "symbols": newest.symbols if newest else None,
        "newest_trade": newest.quote_time.isoformat() if newest and newest.quote_time else None,
        "constituents": status.constituents,
        "history": asdict(status.history) if status.history else None,
        "connections": statistics.connections if statistics else None,
        "max_connections": statistics.max_connections if statistics else None,
    }


def _prepare(database: Database, *, dry_run: bool) -> int:
    from sp500tui.storage.distribution import prepare

    for line in prepare(database.url, dry_run=dry_run):
        # A large table takes a while, so each step is printed when it is done.
        write_output(plain(line) + "\n")
    return ExitCode.OK


def _psql(database: Database, arguments: Sequence[str]) -> int:
    """Run psql as a child process, so that the embedded server runs as long as psql does.

    Returns psql's exit code, or `ExitCode.DATABASE` where psql could not connect or lost the connection.
    """
    command, environment = psql_command(database, arguments)
    # Ctrl-C cancels psql's query, not this command. Unlike SIG_IGN, a handler is not inherited by psql.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = _run_or_terminate(command, os.environ | environment)
    finally:
        signal.signal(signal.SIGINT, before)
    return ExitCode.DATABASE if code == _PSQL_NOT_CONNECTED else code


def _run_or_terminate(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a child and return its exit code. When a signal ends this command, the child is terminated.

    psql then restores the terminal.
    """
    child = None
    try:
        with deferred_signals():
            child = subprocess.Popen(command, env=environment)
        return child.wait()
    except BaseException:
        if child is not None:
            child.terminate()
            child.wait()
        raise


def psql_command(database: Database, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command line of psql for this database, and its environment, which is the only place with the password.

    Raises:
        ConfigurationError: psql is not installed.
    """
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    parameters = conninfo_to_dict(database.url)
    password = parameters.pop("password", None)
    # psql prompts for the password of a client key itself.
    parameters.pop("sslpassword", None)
    environment = dict(os.environ)
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    return [_psql_path(), "-d", make_conninfo("", **parameters), *arguments], environment


def _psql_path() -> str:
    """Path of psql on PATH, or else that of the embedded server."""
    from sp500tui.storage.embedded.binaries import bin_folder

    found = find_program("psql")
    if found:
        return found
    try:
        bundled = bin_folder() / "psql"
    except ConfigurationError:
        bundled = None
    if bundled is None or not bundled.exists():
        raise ConfigurationError("psql is not on PATH; install PostgreSQL's client (postgresql-client)")
    return str(bundled)

"""`sp500tui database url|psql|status|prepare`: reach the database of the prices, embedded or by URL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sp500tui.cli.context import configuration_of, start
from sp500tui.config.child_processes import find_program
from sp500tui.config.paths import Paths
from sp500tui.errors import ConfigurationError, ExitCode
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_json, write_output

if TYPE_CHECKING:
    from sp500tui.storage.database import Database
    from sp500tui.storage.status import DatabaseStatus

_PSQL_NOT_CONNECTED = 2


def run(namespace: Namespace) -> int:
    """Do what `action` says; the embedded server is started when it is needed."""
    from sp500tui.storage.database import Database

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
            _url(database) if namespace.action == "url" else _status(database, as_object=settings.json_output)
        )
    finally:
        # The caller wants to connect to the address.
        database.close(keep_running=namespace.action == "url")


def _url(database: Database) -> int:
    write_output(database.masked_url + "\n")
    return ExitCode.OK


def _status(database: Database, *, as_object: bool) -> int:
    from sp500tui.storage.status import read_status

    status = read_status(database)
    if as_object:
        write_json(json.dumps(status_object(status)) + "\n")
    else:
        write_output("\n".join(map(plain, status_lines(status))) + "\n")
    return ExitCode.OK


def status_lines(status: DatabaseStatus) -> list[str]:
    """The status as text, one fact a line."""
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
        f"connections   {status.statistics.connections} of {status.statistics.max_connections}",
    ]


def status_object(status: DatabaseStatus) -> dict[str, object]:
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
        "connections": statistics.connections if statistics else None,
        "max_connections": statistics.max_connections if statistics else None,
    }


def _prepare(database: Database, *, dry_run: bool) -> int:
    from sp500tui.storage.distribution import prepare

    for line in prepare(database.url, dry_run=dry_run):
        # A table of many rows takes its time: each step is told when it is done.
        write_output(plain(line) + "\n")
    return ExitCode.OK


def _psql(database: Database, arguments: Sequence[str]) -> int:
    """Run psql as a child, so that the embedded server lives as long as it.

    Its exit code is ours, but where it had no connection or lost it: that has a code of its own here.
    """
    command, environment = psql_command(database, arguments)
    # Ctrl-C in psql is about its query, not about us; a handler, unlike SIG_IGN, is not handed down to it.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        code = _end_with_us(subprocess.Popen(command, env=os.environ | environment))
    finally:
        signal.signal(signal.SIGINT, before)
    return ExitCode.DATABASE if code == _PSQL_NOT_CONNECTED else code


def _end_with_us(child: subprocess.Popen[bytes]) -> int:
    """The exit code of a child, which is terminated, and gives the terminal back, where a signal ends this command."""
    try:
        return child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise


def psql_command(database: Database, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command line of psql for this database, and its environment, which alone holds the password.

    Raises:
        ConfigurationError: psql is not installed.
    """
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    parameters = conninfo_to_dict(database.url)
    password = parameters.pop("password", None)
    # psql asks for the password of a client key itself.
    parameters.pop("sslpassword", None)
    environment = dict(os.environ)
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    return [_psql_path(), "-d", make_conninfo("", **parameters), *arguments], environment


def _psql_path() -> str:
    """Psql on PATH, or the one of the embedded server."""
    from sp500tui.storage.embedded.binaries import bin_folder

    found = find_program("psql")
    if found:
        return found
    try:
        bundled = bin_folder() / "psql"
    except ConfigurationError:
        bundled = None
    if bundled is None or not bundled.exists():
        raise ConfigurationError("there is no psql on PATH; install PostgreSQL's client (postgresql-client)")
    return str(bundled)

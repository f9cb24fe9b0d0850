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
from sp500tui.config.paths import Paths
from sp500tui.errors import ExitCode
from sp500tui.logs.redaction import plain
from sp500tui.logs.standard_streams import write_json, write_output

if TYPE_CHECKING:
    from sp500tui.storage.database import Database

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
            return _prefetch(database, dry_run=namespace.dry_run)
        return (
            _url(database) if namespace.action == "url" else _status(database, as_object=settings.json_output)
        )
    finally:
        # Whoever asked for the address wants to find somebody there.
        database.close(keep_running=namespace.action == "url")


def _url(database: Database) -> int:
    write_output(database.masked_url + "\n")
    return ExitCode.OK


def _status(database: Database, *, as_object: bool) -> int:
    from sp500tui.storage.status import status

    found = status(database)
    if as_object:
        write_json(json.dumps(found.as_json()) + "\n")
    else:
        write_output("\n".join(plain(line) for line in found.lines()) + "\n")
    return ExitCode.OK


def _prefetch(database: Database, *, dry_run: bool) -> int:
    from sp500tui.storage.distribution import prepare

    for line in prepare(database.url, dry_run=dry_run):
        # A table of many rows takes its time: each step is told when it is done.
        write_output(plain(line) + "\n")
    return ExitCode.OK


def _psql(database: Database, arguments: Sequence[str]) -> int:
    """Run psql as a child, so that the embedded server lives as long as it.

    Its exit code is ours, but where it had no connection or lost it: that has a code of its own here.
    """
    from sp500tui.storage.status import psql_command

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

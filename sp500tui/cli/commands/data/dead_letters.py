"""`sp500tui dead-letters list|replay`: the rows that the database rejected."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import TYPE_CHECKING

from sp500tui.cli.context import configuration_of, start
from sp500tui.cli.output import as_columns
from sp500tui.config.loader import Configuration
from sp500tui.errors import DatabaseError, ExitCode
from sp500tui.export import as_json
from sp500tui.logs.standard_streams import write_json, write_output

if TYPE_CHECKING:
    from sp500tui.config.paths import Paths
    from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters


def run(namespace: Namespace) -> int:
    """List the dead letters, or insert them again; the exit code is 1 if some are rejected again."""
    from sp500tui.pipeline.journal.dead_letters import DeadLetters

    configuration = configuration_of(namespace)
    paths = start(configuration)
    letters = DeadLetters(paths.dead_letters)
    if namespace.action == "list":
        return _list(letters, as_json_array=configuration.settings.json_output)
    stored, rejected = _replay(letters, configuration, paths)
    if configuration.settings.json_output:
        write_json(json.dumps({"stored": stored, "rejected": rejected}) + "\n")
    else:
        write_output(
            f"{stored} stored, {rejected} rejected again\n" if stored or rejected else "no dead letters\n"
        )
    return ExitCode.INCOMPLETE if rejected else ExitCode.OK


def _list(letters: DeadLetters, *, as_json_array: bool) -> int:
    listing = letters.listing()
    if as_json_array:
        write_json(
            as_json(
                {"at": each.at, "reason": each.reason, "sqlstate": each.sqlstate, **each.row}
                for each in listing
            )
        )
    elif listing:
        write_output(as_columns([_line(letter) for letter in listing]))
    else:
        write_output("no dead letters\n")
    return ExitCode.OK


def _line(letter: DeadLetter) -> tuple[str, ...]:
    row = letter.row
    return (
        letter.at,
        row.get("symbol") or "–",
        row.get("quote_time") or "–",
        row.get("price") or "–",
        letter.sqlstate or "–",
        letter.reason,
    )


def _replay(letters: DeadLetters, configuration: Configuration, paths: Paths) -> tuple[int, int]:
    """Insert every dead letter; those that the database rejects again remain. Returns the numbers of both.

    Raises:
        DatabaseError: the database cannot be reached.
    """
    from sp500tui.storage.batch_codec import encode_records
    from sp500tui.storage.connection import connect
    from sp500tui.storage.database import Database
    from sp500tui.storage.errors import is_bad_row, may_be_bad_row
    from sp500tui.storage.schema.migrations import apply_schema
    from sp500tui.storage.writes import insert

    if not letters.listing():
        return 0, 0
    paths.prepare()
    with Database.open(configuration.settings.database, paths.data) as database:
        apply_schema(database.url)
        with connect(database.url, application_name="sp500tui dead-letters") as connection:

            def accept(letter: DeadLetter) -> bool:
                try:
                    insert(connection, encode_records([letter.row]))
                except DatabaseError as error:
                    if not (is_bad_row(error.sqlstate) or may_be_bad_row(error.sqlstate)):
                        raise
                    return False
                return True

            return letters.replay(accept)

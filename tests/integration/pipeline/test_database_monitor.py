"""The database monitor: what concerns only its own statements or its own connection is no outage for the writers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
import psycopg
import pytest

from sp500tui.model import Constituent
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.snapshot import Health
from sp500tui.pipeline.runtime import database_monitor
from sp500tui.pipeline.runtime.database_monitor import DatabaseMonitor
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.sources.wikipedia.client import ConstituentList
from sp500tui.storage.schema.migrations import apply_schema
from tests.support.waiting import Wait

REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the list is kept elsewhere'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON constituents FOR EACH ROW EXECUTE FUNCTION refuse();
"""


class Listing:
    """A source of one constituent."""

    def load(self) -> ConstituentList:
        listed = (Constituent("AAPL", "Apple", "", "", "", None, "", ""),)
        return ConstituentList(listed, "bundled", datetime.now(UTC), "")


@dataclass
class Monitored:
    """A running monitor, the health that it shares with the writers, and a second connection."""

    monitor: DatabaseMonitor
    health: DatabaseHealth
    database: psycopg.Connection[tuple[object, ...]]
    events: list[PipelineEvent] = field(default_factory=list)

    def value(self, query: str) -> object:
        found = self.database.execute(query).fetchone()
        return found and found[0]

    def backend(self) -> object:
        return self.value(
            "SELECT pid FROM pg_stat_activity "
            "WHERE application_name = 'sp500tui monitor' AND datname = current_database()"
        )

    @property
    def counted(self) -> int | None:
        return self.monitor.snapshot().rows_total


def begin(monitored: Monitored, eventually: Wait) -> None:
    """Start the monitor and wait until it has counted the rows."""
    monitored.monitor.thread.start()
    eventually(lambda: monitored.counted == 0)


@pytest.fixture
def monitored(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitored]:
    monkeypatch.setattr(database_monitor, "_POLL_INTERVAL", 0.05)
    monkeypatch.setattr(database_monitor, "_COUNT_INTERVAL", 0.05)
    events: list[PipelineEvent] = []
    health = DatabaseHealth(events.append)
    constituents = CurrentConstituents(Listing, (), 3600)
    constituents.refresh()
    monitor = DatabaseMonitor(
        database_url,
        Path("/nonexistent"),
        health=health,
        current_constituents=constituents,
        retry_forever=True,
        on_fatal=lambda _: None,
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield Monitored(monitor, health, connection, events)
        monitor.close()


def is_there(pid: object) -> bool:
    return psutil.pid_exists(int(str(pid)))


def test_a_list_that_a_trigger_refuses_is_reported_and_stops_no_writer(
    monitored: Monitored, database_url: str, eventually: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    # given tables, one of which accepts no rows
    apply_schema(database_url)
    monitored.database.execute(REFUSE)

    # when the monitor has tried
    monitored.monitor.thread.start()
    eventually(lambda: "the list is kept elsewhere; next attempt in 30 s" in caplog.text)

    # then the rows are still counted, and the writers continue
    eventually(lambda: monitored.counted == 0)
    assert monitored.health.status is Health.OK
    assert EventKind.DATABASE_DOWN not in {event.kind for event in monitored.events}


def test_a_connection_that_the_server_ends_while_it_is_idle_is_replaced(
    monitored: Monitored, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a monitor whose connection is idle
    monkeypatch.setattr(database_monitor, "_POLL_INTERVAL", 600.0)
    begin(monitored, eventually)
    first = monitored.backend()

    # when the server ends it
    monitored.database.execute("SELECT pg_terminate_backend(%s)", (first,))
    eventually(lambda: not is_there(first))
    monitored.monitor.thread.wake()

    # then another one takes its place
    eventually(lambda: monitored.backend() not in (None, first))
    assert EventKind.DATABASE_DOWN not in {event.kind for event in monitored.events}


def test_a_database_that_was_created_again_gets_its_tables(
    monitored: Monitored, eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a database that is in use, without a query that delays the removal of its tables
    monkeypatch.setattr(database_monitor, "_COUNT_INTERVAL", 600.0)
    begin(monitored, eventually)
    stored = "SELECT count(*) FROM constituents"
    assert monitored.value(stored) == 1

    # when it is empty again, and a writer has noticed
    monitored.database.execute("DROP SCHEMA public CASCADE")
    monitored.database.execute("CREATE SCHEMA public")
    monitored.health.record_failure('relation "prices" does not exist', "42P01")

    # then the tables are created, and the list is stored in them
    eventually(lambda: monitored.health.status is Health.OK)
    eventually(lambda: monitored.value("SELECT to_regclass('constituents')") and monitored.value(stored) == 1)


def test_the_remedy_for_a_table_that_was_dropped_is_logged_once(
    monitored: Monitored, eventually: Wait, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given a database that is in use
    monkeypatch.setattr(database_monitor, "_COUNT_INTERVAL", 600.0)
    begin(monitored, eventually)

    # when one of its tables is dropped, and writers fail repeatedly
    monitored.database.execute("DROP TABLE prices CASCADE")
    monitored.health.record_failure('relation "prices" does not exist', "42P01")
    eventually(lambda: "lacks a table" in monitored.health.message)
    monitored.health.record_failure('relation "prices" does not exist', "42P01")
    eventually(lambda: "lacks a table" in monitored.health.message)

    # then the log has the remedy once
    assert caplog.text.count("DROP TABLE public.schema_version") == 1


def test_a_list_that_is_not_stored_because_of_a_lock_is_reported_at_the_end(
    monitored: Monitored, eventually: Wait, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given another session that has locked the table of constituents
    monkeypatch.setattr(database_monitor, "_JOIN_TIMEOUT", 0.1)
    apply_schema(monitored.monitor._url or "")
    with monitored.database.transaction():
        monitored.database.execute("LOCK TABLE constituents IN SHARE MODE")
        monitored.monitor.thread.start()
        eventually(
            lambda: (
                monitored.value(
                    "SELECT count(*) FROM pg_locks WHERE relation = 'constituents'::regclass AND NOT granted"
                )
                == 1
            )
        )

        # when the run ends
        monitored.monitor.close()

        # then the log reports what was not stored
        assert "the list of constituents is not stored: " in caplog.text
    eventually(lambda: not monitored.monitor.thread.is_alive())


def test_the_end_does_not_query_an_unresponsive_database_again(
    monitored: Monitored, eventually: Wait, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given a monitor that waits for a table which another session has locked
    monkeypatch.setattr(database_monitor, "_JOIN_TIMEOUT", 0.1)
    begin(monitored, eventually)
    with monitored.database.transaction():
        monitored.database.execute("LOCK TABLE prices IN ACCESS EXCLUSIVE MODE")
        eventually(
            lambda: (
                monitored.value(
                    "SELECT count(*) FROM pg_locks WHERE relation = 'prices'::regclass AND NOT granted"
                )
                == 1
            )
        )

        # when the run ends
        monitored.monitor.close()

        # then the monitor has not tried a second time, and the run does not wait for it
        assert monitored.monitor.thread.is_alive()
        assert "could not update the database" not in caplog.text
    eventually(lambda: not monitored.monitor.thread.is_alive())

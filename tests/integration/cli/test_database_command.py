"""`sp500tui database status` and `psql`, on real servers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sp500tui.cli import main as cli
from sp500tui.cli.commands.data import database as database_command
from sp500tui.cli.commands.data.database import psql_command, status_json, status_lines
from sp500tui.errors import ConfigurationError, DatabaseError
from sp500tui.storage.connection import connect
from sp500tui.storage.database import Database
from sp500tui.storage.embedded import binaries
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.status import read_status
from sp500tui.storage.transaction import Connection
from tests.support.postgres.server import TcpPostgres
from tests.support.postgres.stored_prices import fill


class TestStatus:
    def test_a_new_database_has_no_tables(self, database_url: str, tmp_path: Path) -> None:
        status = read_status(Database.open(database_url, tmp_path))
        assert status_lines(status)[-1] == "tables        none yet: the first run creates them"
        assert status_json(status)["rows"] is None
        with connect(database_url, application_name="test") as connection:
            assert connection.execute("SELECT to_regclass('public.prices')").fetchone() == (None,)

    def test_reports_versions_rows_and_the_newest_trade(
        self, connection: Connection, migrated_url: str, tmp_path: Path
    ) -> None:
        fill(connection, ["AAPL", "MSFT"], 1000)
        status = read_status(Database.open(migrated_url, tmp_path))
        lines = status_lines(status)
        assert (status_json(status)["rows"], status_json(status)["newest_trade"]) == (
            2000,
            "2026-05-02T06:09:00+00:00",
        )
        assert lines[0].startswith("database      postgresql://sp500tui@/test_")
        assert lines[1].startswith("server        PostgreSQL 18")
        assert lines[1].endswith("by URL")
        assert re.fullmatch(r"schema        version \d+", lines[2])
        assert lines[3].startswith("prices        2,000 rows, ")
        assert lines[4:7] == [
            "symbols       2 with a price",
            "newest trade  2026-05-02 06:09:00 UTC",
            "constituents  0",
        ]

    def test_an_empty_table_has_no_newest_trade(
        self, connection: Connection, migrated_url: str, tmp_path: Path
    ) -> None:
        assert "newest trade  none" in status_lines(read_status(Database.open(migrated_url, tmp_path)))

    def test_a_view_that_was_dropped_is_an_error_with_its_remedy(
        self, connection: Connection, migrated_url: str, tmp_path: Path
    ) -> None:
        connection.execute("DROP VIEW latest_prices")
        with pytest.raises(
            DatabaseError, match=r"latest_prices.* does not exist; restore it, or run DROP TABLE"
        ):
            read_status(Database.open(migrated_url, tmp_path))

    def test_hides_the_password(self, tcp_postgres: TcpPostgres, tmp_path: Path) -> None:
        text = "\n".join(status_lines(read_status(Database.open(tcp_postgres.url, tmp_path))))
        assert "admin:***@127.0.0.1" in text
        assert "s3cret" not in text

    def test_missing_privileges_are_an_error(self, tcp_postgres: TcpPostgres, tmp_path: Path) -> None:
        apply_schema(tcp_postgres.url)
        tcp_postgres.execute("CREATE ROLE blind LOGIN PASSWORD 'x'")
        database = Database.open(tcp_postgres.url_for("blind", "x"), tmp_path)
        with pytest.raises(
            DatabaseError, match=r"permission denied for .*; grant the privilege to this user"
        ):
            read_status(database)
        tcp_postgres.execute("DROP ROLE blind")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("url --json", "--json is for `database status`; leave it out with `database url`"),
        ("prepare --json", "--json is for `database status`; leave it out with `database prepare`"),
        ("status --dry-run", "--dry-run is for `database prepare`; leave it out with `database status`"),
    ],
)
def test_an_option_of_another_action_is_refused(
    capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    assert cli.main(["database", *line.split(), "--database", "postgresql://me@127.0.0.1:1/x"]) == 2
    assert message in capsys.readouterr().err


class TestPsql:
    @pytest.mark.parametrize("path", [None, ""])
    def test_opens_the_database_without_showing_the_password(
        self, tcp_postgres: TcpPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | None
    ) -> None:
        if path is not None:
            monkeypatch.setenv("PATH", path)
        command, environment = psql_command(
            Database.open(tcp_postgres.url, tmp_path), ["-Atc", "SELECT 6 * 7", "--no-psqlrc"]
        )
        assert "s3cret" not in " ".join(command)
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert result.stdout == "42\n"

    def test_opens_the_embedded_database(self, database_url: str, tmp_path: Path) -> None:
        command, environment = psql_command(Database.open(database_url, tmp_path), ["-Atc", "SELECT 1"])
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert result.stdout == "1\n"

    def test_without_psql_the_error_names_the_package_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def nothing() -> Path:
            raise ConfigurationError("no package")

        monkeypatch.setattr(database_command, "find_program", lambda name: None)
        monkeypatch.setattr(binaries, "bin_folder", nothing)
        with pytest.raises(ConfigurationError, match="psql is not on PATH; install"):
            psql_command(Database.open("postgresql://host/db", tmp_path), [])

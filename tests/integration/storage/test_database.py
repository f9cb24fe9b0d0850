"""Connecting, the schema and the handle, on real servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from sp500tui.errors import ConfigurationError, DatabaseError
from sp500tui.pipeline.runtime.database_monitor import is_permanent
from sp500tui.storage.connection import connect
from sp500tui.storage.database import Database
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import run
from tests.support.ports import free_port
from tests.support.postgres.server import TcpPostgres

_RELATIONS = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"


@pytest.fixture
def reader(tcp_postgres: TcpPostgres) -> Iterator[str]:
    """The URL of a user with read-only access."""
    tcp_postgres.execute("CREATE ROLE reader LOGIN PASSWORD 'look'", "GRANT pg_read_all_data TO reader")
    yield tcp_postgres.url_for("reader", "look")
    tcp_postgres.execute("DROP OWNED BY reader", "DROP ROLE reader")


def refused(url: str) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught:
        connect(url, application_name="test", connect_timeout=2)
    message = str(caught.value)
    assert message.isprintable()
    return caught.value


class TestConnect:
    def test_has_its_name_and_uses_utc(self, database_url: str) -> None:
        with connect(database_url, application_name="sp500tui writer-1") as connection:
            row = connection.execute(
                "SELECT current_setting('application_name'), current_setting('TimeZone'), "
                "current_setting('synchronous_commit'), current_setting('fsync')"
            ).fetchone()
            assert row == ("sp500tui writer-1", "UTC", "on", "on")
            assert connection.autocommit

    def test_read_only_refuses_to_write(self, database_url: str) -> None:
        with (
            connect(database_url, application_name="test", read_only=True) as connection,
            pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
        ):
            run(connection, "CREATE TABLE t (x int)")

    def test_a_slow_statement_is_ended(self, database_url: str) -> None:
        with (
            connect(database_url, application_name="test", statement_timeout=0.5) as connection,
            pytest.raises(psycopg.errors.QueryCanceled),
        ):
            run(connection, "SELECT pg_sleep(10)")

    def test_the_urls_own_parameters_win(self, tcp_postgres: TcpPostgres) -> None:
        url = f"{tcp_postgres.url}?application_name=mine&options=-c%20work_mem%3D5MB"
        with connect(url, application_name="test") as connection:
            row = connection.execute(
                "SELECT current_setting('application_name'), current_setting('work_mem')"
            ).fetchone()
        assert row == ("mine", "5MB")


class TestRefusals:
    def test_a_wrong_password(self, tcp_postgres: TcpPostgres) -> None:
        error = refused(tcp_postgres.url_for("admin", "wr0ng"))
        assert error.sqlstate == "28P01"
        assert "refuses the password" in str(error)
        assert "wr0ng" not in str(error)

    def test_no_password(self, tcp_postgres: TcpPostgres) -> None:
        error = refused(tcp_postgres.url_for("admin", None))
        assert error.sqlstate == "28P01"
        assert "PGPASSWORD" in str(error)

    def test_an_unknown_database(self, tcp_postgres: TcpPostgres) -> None:
        error = refused(tcp_postgres.url_for("admin", tcp_postgres.password, "nowhere"))
        assert error.sqlstate == "3D000"
        assert "has no such database" in str(error)

    def test_an_unknown_user(self, embedded_server: object, database_url: str) -> None:
        error = refused(database_url.replace("sp500tui@", "stranger@"))
        assert error.sqlstate == "28000"

    def test_no_server(self) -> None:
        error = refused(f"postgresql://me:s3cr3t@127.0.0.1:{free_port()}/db")
        assert error.sqlstate == "08001"
        assert "no server listens there" in str(error)
        assert "s3cr3t" not in str(error)

    def test_no_socket(self, tmp_path: Path) -> None:
        assert "no server listens there" in str(refused(f"postgresql:///db?host={tmp_path}"))

    def test_an_unknown_host(self) -> None:
        assert "unknown host name" in str(refused("postgresql://no-such-host.invalid/db"))

    def test_no_connection_left(self, tcp_postgres: TcpPostgres) -> None:
        tcp_postgres.execute(
            f"ALTER DATABASE {tcp_postgres.database} CONNECTION LIMIT 0",
            "CREATE ROLE guest LOGIN PASSWORD 'x'",
        )
        error = refused(tcp_postgres.url_for("guest", "x"))
        tcp_postgres.execute("DROP ROLE guest")
        assert error.sqlstate == "53300"
        assert "fewer writers" in str(error)

    def test_a_value_that_libpq_does_not_permit_is_refused_with_those_it_does(self) -> None:
        with pytest.raises(ConfigurationError, match="sslmode is not one of disable, allow"):
            connect("postgresql://127.0.0.1/db?sslmode=foo", application_name="test")


class TestPasswords:
    def test_from_the_environment(self, tcp_postgres: TcpPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGPASSWORD", tcp_postgres.password)
        connect(tcp_postgres.url_for("admin", None), application_name="test").close()

    def test_from_a_passfile(self, tcp_postgres: TcpPostgres, tmp_path: Path) -> None:
        passfile = tmp_path / "passwords"
        passfile.write_text(f"127.0.0.1:{tcp_postgres.port}:*:admin:{tcp_postgres.password}\n")
        passfile.chmod(0o600)
        connect(f"{tcp_postgres.url_for('admin', None)}?passfile={passfile}", application_name="test").close()


class TestSchema:
    def test_has_the_tables_and_the_view(self, database_url: str) -> None:
        apply_schema(database_url)
        apply_schema(database_url)
        with connect(database_url, application_name="test") as connection:
            for name in ("prices", "constituents", "latest_prices"):
                assert connection.execute(f"SELECT * FROM public.{name}").fetchall() == []

    def test_works_by_tcp_and_password(self, tcp_postgres: TcpPostgres) -> None:
        apply_schema(tcp_postgres.url)
        with connect(tcp_postgres.url, application_name="test") as connection:
            assert connection.execute("SELECT * FROM public.prices").fetchall() == []

    def test_programs_that_start_at_once_apply_it_once(self, database_url: str) -> None:
        together = threading.Barrier(8)

        def program() -> None:
            together.wait()
            apply_schema(database_url)

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(program) for _ in range(8)]:
                done.result()

        with connect(database_url, application_name="test") as connection:
            rows = connection.execute("SELECT version FROM schema_version ORDER BY 1").fetchall()
        assert rows == [(version,) for version in range(1, 12)]

    def test_needs_no_right_to_create_where_it_is_applied(
        self, tcp_postgres: TcpPostgres, reader: str
    ) -> None:
        apply_schema(tcp_postgres.url)
        tcp_postgres.execute("GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO reader")
        apply_schema(reader)

    def test_refuses_a_user_who_may_not_create(self, tcp_postgres: TcpPostgres, reader: str) -> None:
        with pytest.raises(DatabaseError, match="may only read it; grant it CREATE") as caught:
            apply_schema(reader)
        assert caught.value.sqlstate == "42501"
        assert "look" not in str(caught.value)

    def test_refuses_a_user_who_may_not_write(self, tcp_postgres: TcpPostgres, reader: str) -> None:
        apply_schema(tcp_postgres.url)
        with pytest.raises(DatabaseError, match="may only read it") as caught:
            apply_schema(reader)
        assert caught.value.sqlstate == "42501"

    def test_refuses_a_database_that_is_read_only(self, tcp_postgres: TcpPostgres) -> None:
        apply_schema(tcp_postgres.url)
        tcp_postgres.execute(f"ALTER DATABASE {tcp_postgres.database} SET default_transaction_read_only = on")
        with pytest.raises(DatabaseError, match="read-only: default_transaction_read_only is on") as caught:
            apply_schema(tcp_postgres.url)
        assert caught.value.sqlstate == "25006"

    def test_refuses_a_role_that_is_read_only_before_the_first_run(
        self, tcp_postgres: TcpPostgres, reader: str
    ) -> None:
        tcp_postgres.execute(
            "GRANT CREATE ON SCHEMA public TO reader",
            "ALTER ROLE reader SET default_transaction_read_only = on",
        )
        with pytest.raises(DatabaseError, match="default_transaction_read_only is on") as caught:
            apply_schema(reader)
        assert caught.value.sqlstate == "25006"

    def test_refuses_a_database_without_the_schema_public(self, tcp_postgres: TcpPostgres) -> None:
        tcp_postgres.execute("DROP SCHEMA public CASCADE")
        with pytest.raises(DatabaseError, match=r"no schema public.*CREATE SCHEMA public") as caught:
            apply_schema(tcp_postgres.url)
        assert is_permanent(caught.value)

    @pytest.mark.parametrize(
        ("statement", "name"),
        [
            ("CREATE TABLE public.prices (ticker text, price float)", "prices"),
            ("CREATE TABLE public.sessions (id text PRIMARY KEY, data jsonb)", "sessions"),
            ("CREATE TABLE public.coverage ()", "coverage"),
            ("CREATE TABLE public.schema_version (version text, script text)", "schema_version"),
            ("CREATE VIEW public.constituents AS SELECT 'AAPL' AS symbol", "constituents"),
            ("CREATE SEQUENCE public.bars", "bars"),
        ],
    )
    def test_refuses_the_tables_of_another_program_and_leaves_none(
        self, database_url: str, statement: str, name: str
    ) -> None:
        with connect(database_url, application_name="test") as connection:
            connection.execute(statement)
            before = connection.execute(_RELATIONS).fetchall()
            with pytest.raises(DatabaseError, match=rf"public\.{name} of another program") as caught:
                apply_schema(database_url)
            assert is_permanent(caught.value)
            assert connection.execute(_RELATIONS).fetchall() == before

    def test_names_the_remedy_for_a_table_that_was_dropped(self, database_url: str) -> None:
        apply_schema(database_url)
        with connect(database_url, application_name="test") as connection:
            connection.execute("DROP TABLE prices CASCADE")
            with pytest.raises(DatabaseError, match=r"lacks a table.*DROP TABLE public\.schema_version"):
                apply_schema(database_url)
            connection.execute("DROP TABLE public.schema_version")
        assert apply_schema(database_url), "its tables are created again"

    def test_refuses_the_database_of_a_newer_version(self, database_url: str) -> None:
        apply_schema(database_url)
        with connect(database_url, application_name="test") as connection:
            connection.execute("INSERT INTO schema_version VALUES (99, 'later')")
        with pytest.raises(DatabaseError, match=r"newer version of sp500tui; update"):
            apply_schema(database_url)

    def test_names_what_a_broken_schema_lacks(self, tcp_postgres: TcpPostgres) -> None:
        tcp_postgres.execute("CREATE TABLE public.latest_prices (x int)")
        with pytest.raises(DatabaseError, match=r"tables could not be created.*use another one"):
            apply_schema(tcp_postgres.url)

    def test_the_newest_row_of_each_symbol_is_in_the_view(self, database_url: str) -> None:
        apply_schema(database_url)
        with connect(database_url, application_name="test") as connection:
            connection.execute(
                "INSERT INTO prices (symbol, quote_time, price, currency, converted_currency, market_state, "
                "fetched_at) SELECT symbol, timestamptz '2026-05-01' + minute * interval '1 min', minute, 'USD', "
                "'DKK', 'REGULAR', now() FROM unnest(ARRAY['A', 'B']) AS symbol, generate_series(1, 5) AS minute"
            )
            rows = connection.execute("SELECT symbol, price FROM latest_prices ORDER BY symbol").fetchall()
        assert rows == [("A", 5), ("B", 5)]


class TestHandle:
    def test_of_a_url_is_only_checked(self, tmp_path: Path) -> None:
        with Database.open("postgresql://me:s3cr3t@nowhere.invalid/db", tmp_path) as database:
            assert database.masked_url == "postgresql://me:***@nowhere.invalid/db"
            assert not database.embedded
            assert not database.ensure_alive()
            assert not database.stop_server()
        assert list(tmp_path.iterdir()) == []

    def test_of_a_malformed_url_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError):
            Database.open("mysql://x", tmp_path)

    def test_of_the_embedded_server_revives_it(self, data_dir: Path) -> None:
        with Database.open(None, data_dir) as database:
            assert database.embedded
            assert not database.ensure_alive()
            assert database.stop_server()
            assert database.ensure_alive()
            apply_schema(database.url)
        with pytest.raises(DatabaseError, match="no server listens there"):
            connect(database.url, application_name="test")

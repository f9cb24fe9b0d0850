"""The database as the pipeline uses it, on real servers."""

from __future__ import annotations

from sp500tui.storage.database import apply_schema, connect
from tests.fixtures.postgres import TcpPostgres


class TestSchema:
    def test_can_be_applied_twice(self, database_url: str) -> None:
        apply_schema(database_url)
        apply_schema(database_url)
        with connect(database_url, application_name="test") as connection:
            assert connection.execute("select * from public.prices").fetchall() == []

    def test_works_by_tcp_and_password(self, tcp_postgres: TcpPostgres) -> None:
        apply_schema(tcp_postgres.url)
        tcp_postgres.kill()
        tcp_postgres.start()
        with connect(tcp_postgres.url, application_name="test") as connection:
            assert connection.execute("select * from public.latest_prices").fetchall() == []

"""Databases in other encodings than UTF-8: what they cannot hold is replaced with a warning, and nothing stops."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from sp500tui.errors import DatabaseError, ExitCode
from sp500tui.model import Constituent
from sp500tui.pipeline.report import exit_code
from sp500tui.storage.adaptation import python_codec
from sp500tui.storage.batch_codec import decode, encode
from sp500tui.storage.connection import connect
from sp500tui.storage.reads import history, last_rows
from sp500tui.storage.schema.migrations import apply_schema
from sp500tui.storage.transaction import Connection as OurConnection
from sp500tui.storage.transaction import run
from sp500tui.storage.writes import insert, upsert_constituents, upsert_symbols
from sp500tui.tui.shell.price_reader import PostgresReader
from tests.faults.rig.engine import EngineStarter
from tests.support.parameters import rest_thorough
from tests.support.pipeline.rows import row
from tests.support.postgres.server import TcpPostgres

MOMENT = datetime(2026, 5, 1, 13, 30, tzinfo=UTC)
_ENCODINGS = ("LATIN1", "EUC_JP", "SQL_ASCII", "LATIN9", "WIN1252", "KOI8R", "EUC_KR", "EUC_CN", "EUC_TW")
_NAME = "Nestlé – 日本 Крейта €"
_EXPECTED = {
    "LATIN1": "Nestlé ? ?? ?????? ?",
    "LATIN9": "Nestlé ? ?? ?????? €",
    "WIN1252": "Nestlé – ?? ?????? €",
    "KOI8R": "Nestl? ? ?? Крейта ?",
    "SQL_ASCII": _NAME,
}
ODD = Constituent(
    symbol="ODD",
    name=_NAME,
    sector="Énergie\0\ud800",
    sub_industry="–",
    headquarters="東京",
    date_added=None,
    cik="0000000001",
    founded="1999",
)
OpenDatabase = Callable[[str], str]


@pytest.fixture
def make_database(tcp_postgres: TcpPostgres) -> Iterator[OpenDatabase]:
    """Create a database in this encoding, with the program's tables; returns its URL."""
    made: list[str] = []

    def make(encoding: str) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        tcp_postgres.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
        made.append(name)
        return tcp_postgres.url_for("admin", tcp_postgres.password, name)

    yield make
    tcp_postgres.execute(*(f"DROP DATABASE {name} WITH (FORCE)" for name in made))


def names(connection: OurConnection) -> list[tuple[object, ...]]:
    return run(connection, "SELECT symbol, name FROM public.constituents ORDER BY symbol").fetchall()


@pytest.mark.parametrize("encoding", rest_thorough(_ENCODINGS, 3))
def test_names_outside_the_encoding_are_stored_with_replacements(
    make_database: OpenDatabase, encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = make_database(encoding)
    apply_schema(url)
    with connect(url, application_name="test") as connection, caplog.at_level(logging.WARNING):
        upsert_constituents(connection, [ODD, replace(ODD, symbol="EVEN", name="Plain")], MOMENT)
        upsert_constituents(connection, [ODD], MOMENT + timedelta(days=1))
        upsert_symbols(connection, ["ODD", "日本"])
        ((_, plain), (_, odd)) = names(connection)
        sector = run(connection, "SELECT sector FROM public.constituents WHERE symbol = 'ODD'").fetchone()
        assert run(connection, "SELECT symbol FROM public.known_symbols").fetchall() == [("ODD",)]
    assert plain == "Plain"
    assert odd == _EXPECTED.get(encoding, odd)
    assert str(odd).startswith("Nestl")
    assert sector is not None
    assert sector[0].endswith("nergie?")
    warnings = [record.getMessage() for record in caplog.records if record.name.endswith("writes")]
    assert len(warnings) == 2
    assert f"encoding {encoding}" in warnings[0]


def test_the_urls_own_encoding_does_not_matter(make_database: OpenDatabase) -> None:
    url = make_database("UTF8")
    apply_schema(url)
    with connect(f"{url}?client_encoding=LATIN1", application_name="test") as connection:
        upsert_constituents(connection, [ODD], MOMENT)
        assert names(connection) == [("ODD", _NAME)]


def test_two_keys_that_become_one_are_stored_once(make_database: OpenDatabase) -> None:
    url = make_database("LATIN1")
    apply_schema(url)
    with connect(url, application_name="test") as connection:
        upsert_constituents(connection, [replace(ODD, cik="日"), replace(ODD, cik="本")], MOMENT)
        assert len(names(connection)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("encoding", rest_thorough(["LATIN1", "EUC_JP", "SQL_ASCII"]))
def test_a_run_and_the_screens_work(
    make_database: OpenDatabase,
    start: EngineStarter,
    encoding: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a terminal's encoding in the environment, which is none of the pipeline's business
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    url = make_database(encoding)

    # when one cycle over symbols of companies with all kinds of names is run
    run = start(url, symbols="AAPL,MSFT,BRK.B", once=True)
    assert run.pipeline.join(60)

    # then all is stored, and the screens can read it
    report = run.pipeline.outcome()
    assert (exit_code(report), report.ledger.stored) == (ExitCode.OK, 3)
    reader = PostgresReader(lambda: url)
    assert {each.symbol for each in reader.read_overview(10).rows} == {"AAPL", "MSFT", "BRK.B"}
    reader.close()


def test_bytes_of_another_program_are_read_as_replacements(make_database: OpenDatabase) -> None:
    # given a database without an encoding, into which another program has written Latin-1
    url = make_database("SQL_ASCII")
    apply_schema(url)
    with connect(url, application_name="test") as connection:
        insert(connection, encode([row(1)]))
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("UPDATE public.prices SET market_state = E'caf\\xe9', currency = E'\\xff'")

        # then both ways of reading return text
        (stored,) = last_rows(connection, None, 10)
        (point,) = history(connection, "S1", MOMENT - timedelta(days=9000), 10)
    assert (stored.market_state, stored.currency) == ("caf\ufffd", "\ufffd")
    assert point.market_state == "caf\ufffd"


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1", "EUC_JP"])
@pytest.mark.parametrize("odd", rest_thorough([b"\xe2\x80\x93", b"\xff", b"\xc3"]))
def test_a_journal_row_outside_the_encoding_is_a_bad_row(
    make_database: OpenDatabase, encoding: str, odd: bytes
) -> None:
    url = make_database(encoding)
    apply_schema(url)
    payload = encode([row(1)]).replace(b"USD", odd, 1)
    with connect(url, application_name="test") as connection:
        if encoding == "UTF8" and odd == b"\xe2\x80\x93":
            assert insert(connection, payload) == 1
        else:
            with pytest.raises(DatabaseError) as caught:
                insert(connection, payload)
            assert (caught.value.sqlstate or "").startswith("22")
    assert decode(payload)[0]["currency"] == odd.decode("utf-8", "replace")


def test_an_encoding_without_a_conversion_to_utf_8_is_refused(make_database: OpenDatabase) -> None:
    url = make_database("MULE_INTERNAL")
    with pytest.raises(DatabaseError, match="has an encoding that cannot be converted to UTF-8"):
        apply_schema(url)


def test_every_encoding_has_a_codec() -> None:
    found = {name: python_codec(name) for name in ("UTF8", "WIN1252", "KOI8U", "LATIN10", "EUC_TW")}
    assert found == {
        "UTF8": "utf-8",
        "WIN1252": "cp1252",
        "KOI8U": "koi8-u",
        "LATIN10": "iso8859-16",
        "EUC_TW": "ascii",
    }

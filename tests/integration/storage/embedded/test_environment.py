"""Environment variables of libpq do not affect the embedded server, and do affect a server given by URL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sp500tui.errors import DatabaseError
from sp500tui.storage.connection import connect
from sp500tui.storage.embedded import server as embedded
from sp500tui.storage.embedded.libpq_environment import variable_names
from sp500tui.storage.embedded.server import EmbeddedServer
from sp500tui.storage.transaction import run
from tests.support.postgres.server import TcpPostgres, end_server, public_folder

_HOSTILE = {
    "PGSERVICE": "unknown-service",
    "PGSERVICEFILE": "/nonexistent/service.conf",
    "PGSYSCONFDIR": "/nonexistent",
    "PGHOST": "192.0.2.1",
    "PGHOSTADDR": "127.0.0.1",
    "PGPORT": "1",
    "PGOPTIONS": "-c default_transaction_read_only=on -c statement_timeout=1",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "system",
    "PGSSLNEGOTIATION": "direct",
    "PGREQUIRESSL": "1",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "daemon",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "random",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGCLIENTENCODING": "EUC_JP",
    "PGTZ": "Asia/Tokyo",
    "PGDATESTYLE": "German",
    "PGGEQO": "nonsense",
    "PGMINPROTOCOLVERSION": "latest",
    "PGMAXPROTOCOLVERSION": "nonsense",
}
_NAMES = sorted({*variable_names(), *_HOSTILE})


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Environment variables that a test may set; all PG variables are restored afterwards."""
    for name in _NAMES:
        # Recorded, so that changes by the program are undone too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("name", _NAMES)
def test_no_variable_matters(
    name: str, embedded_server: EmbeddedServer, environment: pytest.MonkeyPatch
) -> None:
    # given a variable that refers to another server, or is invalid
    environment.setenv(name, _HOSTILE.get(name, "nonsense"))

    # when another program uses the server
    server = EmbeddedServer.start(embedded_server.data_dir)

    # then it connects, and can write
    with connect(server.url, application_name="test") as connection:
        assert run(
            connection, "SELECT current_setting('transaction_read_only'), current_user"
        ).fetchone() == (
            "off",
            "sp500tui",
        )
    server.stop()


@pytest.mark.thorough
def test_the_whole_program_with_all_of_them() -> None:
    # given a home with a service file and a password file readable by everybody
    home = public_folder()
    (home / ".pg_service.conf").write_text("[unknown-service]\nhost=192.0.2.1\nport=1\n")
    (home / ".pgpass").write_text("*:*:*:*:secret\n")
    (home / ".pgpass").chmod(0o644)
    everything = dict.fromkeys(_NAMES, "nonsense") | _HOSTILE
    del everything["PGPASSFILE"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SP500TUI")}
    options = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "SP500TUI_DATA_DIR": str(home / "data")}

    def program(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "sp500tui", *arguments],
            env=kept | everything | options,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr
        return done.stdout

    # when the database is created and filled, and queried by status and psql
    try:
        program("--no-ui", "--demo", "--once", "--symbols", "AAPL,MSFT")
        assert "2 rows" in program("database", "status", "--demo")
        assert (
            program("database", "psql", "--demo", "-XAtc", "SELECT count(*), current_user FROM prices")
            == "2|sp500tui\n"
        )
    finally:
        end_server(home / "data" / "demo" / "pgdata")


def test_a_server_by_url_heeds_them(
    tcp_postgres: TcpPostgres, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    environment.setenv("PGSERVICE", "prices")
    environment.setenv("PGOPTIONS", "-c work_mem=5MB")
    (tmp_path / "services").write_text(
        f"[prices]\nhost=127.0.0.1\nport={tcp_postgres.port}\ndbname={tcp_postgres.database}\n"
        f"user=admin\npassword={tcp_postgres.password}\n"
    )
    with connect("postgresql://", application_name="test") as connection:
        assert run(connection, "SHOW work_mem").fetchone() == ("5MB",)


def test_an_error_quotes_no_line_of_an_earlier_start(made_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a log with an earlier error, and a server that does not answer now
    with (made_dir / "postgres.log").open("a") as log:
        log.write("1999-12-31 23:59:59 UTC [1] FATAL:  of another century\n")
    monkeypatch.setattr(embedded, "READY_TIMEOUT", 0.05)

    def unreachable(url: str, **options: object) -> object:
        raise DatabaseError("the database is out of reach", "08001")

    monkeypatch.setattr(embedded, "connect", unreachable)

    # then the message has the current error, and not the earlier one
    with pytest.raises(DatabaseError, match="does not answer after") as caught:
        EmbeddedServer.start(made_dir)
    assert "of another century" not in str(caught.value)
    assert "out of reach" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PGTZ", "Nowhere/Land", "refuses a setting of the session; correct PGOPTIONS, PGTZ"),
        ("PGDATESTYLE", "nonsense", "refuses a setting of the session"),
        ("PGGEQO", "nonsense", "refuses a setting of the session"),
        ("PGOPTIONS", "-c s3cr3t=x", "refuses a setting of the session"),
        ("PGOPTIONS", "-c wal_level=minimal", "refuses a setting of the session"),
        ("PGOPTIONS", "--s3cr3t", "refuses a setting of the session"),
        ("PGSERVICE", "s3cr3t", "is named by a service that cannot be read; correct PGSERVICE"),
        ("PGPORT", "nonsense", "the value of port is not possible; correct it in the URL, the environment"),
        ("PGCONNECT_TIMEOUT", "nonsense", ""),
    ],
)
def test_a_server_by_url_that_a_variable_hides_is_an_error_with_the_remedy(
    tcp_postgres: TcpPostgres, environment: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    environment.setenv(name, value)
    url = tcp_postgres.url.replace(f":{tcp_postgres.port}", "") if name == "PGPORT" else tcp_postgres.url
    if not words:
        connect(url, application_name="test").close()
        return
    with pytest.raises(DatabaseError) as caught:
        connect(url, application_name="test")
    assert words in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert tcp_postgres.password not in str(caught.value)


def test_a_password_file_that_others_may_read_is_a_warning_of_the_log_and_none_on_stderr(
    tcp_postgres: TcpPostgres,
    tmp_path: Path,
    environment: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # given a password file that libpq ignores, and a URL without a password
    (tmp_path / "pgpass").write_text(f"*:*:*:*:{tcp_postgres.password}\n")
    (tmp_path / "pgpass").chmod(0o644)
    environment.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    url = tcp_postgres.url_for("admin", None)

    # when it is used twice
    for _ in range(2):
        with pytest.raises(DatabaseError, match="requires a password"):
            connect(url, application_name="test")

    # then the reason is in the log once, and nothing is written to the terminal
    assert caplog.text.count(f"the password file {tmp_path / 'pgpass'} is not used, because it is open") == 1
    assert "WARNING: password file" not in capfd.readouterr().err

    # and a private one is used
    (tmp_path / "pgpass").chmod(0o600)
    connect(url, application_name="test").close()

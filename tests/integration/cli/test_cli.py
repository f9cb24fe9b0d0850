"""The program as used by scripts: the demo market, a real PostgreSQL, real processes and signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sp500tui.cli import main as cli
from sp500tui.errors import ExitCode
from sp500tui.pipeline.journal.dead_letters import DeadLetter, DeadLetters
from sp500tui.storage.batch_codec import COLUMNS
from sp500tui.storage.embedded.process import find_running
from tests.support.environment import isolate_home
from tests.support.parameters import rest_thorough
from tests.support.ports import free_port
from tests.support.postgres.server import TcpPostgres, end_server, public_folder

TIMEOUT = 60
"""Maximum seconds of a whole run on a busy machine."""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home, accessible to the embedded server's account; no server outlives the test."""
    folder = public_folder()
    isolate_home(monkeypatch, folder)
    monkeypatch.setenv("SP500TUI_DATA_DIR", str(folder / "data"))
    yield folder
    for market in ("demo", "live"):
        end_server(folder / "data" / market / "pgdata")
    shutil.rmtree(folder, ignore_errors=True)


def started(*arguments: str, by: Sequence[str] = (), **options: Any) -> subprocess.Popen[str]:
    command = [*by, sys.executable, "-m", "sp500tui", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **options
    )


def ran(*arguments: str, **options: Any) -> tuple[int, str, str]:
    program = started(*arguments, **options)
    out, errors = program.communicate(timeout=TIMEOUT)
    return program.returncode, out, errors


class TestOneRun:
    def test_a_clean_run_stores_the_whole_index_and_the_one_shots_agree(
        self, home: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        # given an empty home, when everything is fetched once
        code, out, errors = ran("--no-ui", "--demo", "--once", "--json")

        # then one object on stdout reports that everything is stored
        assert code == ExitCode.OK, errors
        report = json.loads(out)
        assert (report["outcome"], report["cycles"], report["constituents"]) == ("completed", 1, 503)
        quotes = report["quotes"]
        assert (quotes["fetched"], quotes["stored"], quotes["missing"]) == (503, 503, [])
        assert not any(quotes[place] for place in ("duplicate", "queued", "in_flight", "spooled", "dead"))
        assert report["database"]["rows_total"] == 503
        assert find_running(home / "data" / "demo" / "pgdata") is None

        # and psql, status and url read the same database afterwards
        assert (
            cli.main(["database", "psql", "--demo", "-At", "-c", "select count(*) from prices"])
            == ExitCode.OK
        )
        assert capfd.readouterr().out == "503\n"
        assert cli.main(["database", "status", "--demo"]) == ExitCode.OK
        assert "prices        503 rows" in capfd.readouterr().out
        assert cli.main(["database", "status", "--demo", "--json"]) == ExitCode.OK
        status = json.loads(capfd.readouterr().out)
        assert (status["rows"], status["symbols"], status["constituents"]) == (503, 503, 503)
        assert (status["embedded"], status["distributed"], status["rows_exact"]) == (True, False, True)
        assert cli.main(["database", "prepare", "--demo", "--dry-run"]) == ExitCode.OK
        assert "nothing   to do" in capfd.readouterr().out
        assert cli.main(["database", "url", "--demo"]) == ExitCode.OK
        with psycopg.connect(capfd.readouterr().out.strip()) as connection:
            assert connection.execute("select count(*) from constituents").fetchone() == (503,)

    @pytest.mark.slow
    def test_an_unknown_symbol_is_named_and_the_others_are_stored(
        self, home: Path, database_url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        symbols = ["--symbols", "AAPL,BRK.B,NOPE1"]
        code = cli.main(["--no-ui", "--demo", "--once", "--json", *symbols, "--database", database_url])

        captured = capsys.readouterr()
        report = json.loads(captured.out)
        assert code == ExitCode.INCOMPLETE
        assert (report["quotes"]["stored"], report["quotes"]["missing"]) == (2, ["NOPE1"])
        assert "without a price: NOPE1" in captured.err

    def test_psql_without_a_connection_ends_as_the_database_being_unusable(
        self, home: Path, tcp_postgres: TcpPostgres, capfd: pytest.CaptureFixture[str]
    ) -> None:
        wrong = tcp_postgres.url_for("admin", "guessed")
        assert (
            cli.main(["database", "psql", "--database", wrong, "-w", "-c", "select 1"]) == ExitCode.DATABASE
        )
        assert "password authentication failed" in capfd.readouterr().err
        url = tcp_postgres.url
        assert (
            cli.main(["database", "psql", "--database", url, "-c", "select nonsense"]) == ExitCode.INCOMPLETE
        )

    @pytest.mark.thorough
    def test_a_database_with_a_password_is_used_and_the_password_is_never_shown(
        self, home: Path, tcp_postgres: TcpPostgres
    ) -> None:
        code, out, errors = ran(
            "--no-ui", "--demo", "--once", "--json", "--symbols", "AAPL", "--database", tcp_postgres.url
        )
        assert code == ExitCode.OK, errors
        assert json.loads(out)["database"]["embedded"] is False
        written = "".join(file.read_text() for file in (home / "state").rglob("*.log"))
        for text in (out, errors, written):
            assert tcp_postgres.password not in text


class TestStop:
    @pytest.mark.parametrize(
        ("number", "code"), rest_thorough([(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
    )
    def test_a_signal_to_the_whole_group_drains_and_prints_the_outcome(
        self, home: Path, database_url: str, number: signal.Signals, code: int
    ) -> None:
        # given an unbounded run
        symbols = ("--symbols", "AAPL,MSFT", "--interval", "0.5")
        program = started("--no-ui", "--demo", "--json", *symbols, "--database", database_url)
        assert program.stderr is not None
        seen = iter(program.stderr.readline, "")
        assert any("fetched 2 = stored" in line for line in seen)

        # when the group receives a signal, as after Ctrl-C in a terminal
        os.killpg(program.pid, number)
        out, _ = program.communicate(timeout=TIMEOUT)

        # then what was fetched is stored, and the exit code is that of the signal
        report = json.loads(out)
        quotes = report["quotes"]
        assert program.returncode == code
        assert report["outcome"] == "interrupted"
        assert quotes["fetched"] == quotes["stored"] + quotes["duplicate"] > 0

    @pytest.mark.slow
    def test_a_closed_pipe_is_no_error(self, home: Path) -> None:
        program = started("constituents", "--demo", "--csv")
        assert program.stdout is not None
        assert program.stdout.readline().startswith("symbol,name,")
        program.stdout.close()
        assert program.stderr is not None
        assert program.stderr.read() == ""
        assert program.wait(TIMEOUT) == ExitCode.OK


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "environment", "code", "words"),
        [
            (["--pric-workers", "3"], {}, 2, "did you mean --price-workers?"),
            (["--no-ui", "--interval", "-1"], {}, 2, "--interval -1"),
            (["--no-ui"], {"SP500TUI_WRITERS": "0"}, 2, "SP500TUI_WRITERS=0"),
            ([], {}, 2, "use --no-ui"),
            (["--no-ui", "--once", "--database", "postgresql://host:port/x"], {}, 2, "postgresql://"),
            (["database", "status", "--database", "postgresql://h/%zz"], {}, 2, "postgresql://"),
            (["quote", "BRK-B"], {}, 2, "write BRK.B"),
        ],
    )
    def test_it_is_one_line_that_names_the_input_and_nothing_is_half_made(
        self, home: Path, arguments: list[str], environment: Mapping[str, str], code: int, words: str
    ) -> None:
        result, out, errors = ran(*arguments, env=os.environ | environment, stdin=subprocess.DEVNULL)
        last = errors.splitlines()[-1]
        assert result == code
        assert len(errors.splitlines()) == 1
        assert out == ""
        assert last.startswith("sp500tui: ")
        assert words in last
        assert "Traceback" not in errors
        assert not (home / "data" / "live" / "pgdata").exists()

    @pytest.mark.parametrize("fault", rest_thorough(["wrong password", "no server", "no such database"]))
    def test_an_unusable_database_ends_a_run_at_once_with_one_message(
        self, home: Path, tcp_postgres: TcpPostgres, fault: str
    ) -> None:
        url = {
            "no server": f"postgresql://me:pass@127.0.0.1:{free_port()}/x",
            "wrong password": tcp_postgres.url_for("admin", "not this"),
            "no such database": tcp_postgres.url_for("admin", tcp_postgres.password, "nowhere"),
        }[fault]
        result, out, errors = ran("--no-ui", "--demo", "--once", "--json", "--database", url)
        assert result == ExitCode.DATABASE
        assert json.loads(out)["outcome"] == "failed"
        assert errors.count("127.0.0.1") == 2, "once in its own line, once in the figures of the run"
        assert not any(word in errors for word in ("WARNING", "ERROR", "Traceback"))

    @pytest.mark.thorough
    def test_without_a_network_a_run_reports_it_and_ends(self, home: Path, database_url: str) -> None:
        nowhere = ("--proxy", f"http://127.0.0.1:{free_port()}", "--database", database_url)
        result, _, errors = ran("--no-ui", "--once", "--symbols", "AAPL,MSFT", *nowhere)
        assert result == ExitCode.NO_SOURCE
        last = errors.splitlines()[-1]
        assert last.startswith("sp500tui: no prices available: ")
        assert "--proxy" in last

    def test_an_unreachable_server_is_exit_code_4(self, home: Path) -> None:
        url = f"postgresql://me@127.0.0.1:{free_port()}/x"
        result, _, errors = ran("database", "status", "--database", url)
        assert result == ExitCode.DATABASE
        assert "127.0.0.1" in errors
        assert "Traceback" not in errors


class TestDeadLetters:
    def test_dead_letters_are_replayed_and_those_rejected_again_stay(
        self, home: Path, database_url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # given a valid and an invalid dead letter
        row: dict[str, str | None] = dict.fromkeys(COLUMNS) | {
            "symbol": "AAPL",
            "quote_time": "2026-05-04T15:30:00+00:00",
            "price": "187.22",
            "currency": "USD",
            "converted_currency": "DKK",
            "market_state": "REGULAR",
            "fetched_at": "2026-05-04T15:30:01+00:00",
        }
        good = DeadLetter("2026-05-04T15:31:00+00:00", "was too odd", "22003", row)
        letters = DeadLetters(home / "data" / "live" / "dead-letters.jsonl")
        letters.add([good, replace(good, row=row | {"price": "not-a-price"})])

        # when they are replayed
        code = cli.main(["dead-letters", "replay", "--database", database_url])

        # then the good one is in the table and the bad one is kept
        assert code == ExitCode.INCOMPLETE
        assert capsys.readouterr().out == "1 stored, 1 rejected again\n"
        assert [letter.row["price"] for letter in letters.listing()] == ["not-a-price"]
        assert cli.main(["dead-letters", "replay", "--json", "--database", database_url]) == code
        assert json.loads(capsys.readouterr().out) == {"stored": 0, "rejected": 1}
        with psycopg.connect(database_url) as connection:
            assert connection.execute("select symbol, price::text from prices").fetchall() == [
                ("AAPL", "187.22")
            ]

    def test_dead_letters_stay_while_the_database_is_unavailable(
        self, home: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        letters = DeadLetters(home / "data" / "live" / "dead-letters.jsonl")
        letters.add([DeadLetter("2026-05-04T15:31:00+00:00", "odd", "22003", {"symbol": "AAPL"})])
        url = f"postgresql://me@127.0.0.1:{free_port()}/x"
        assert cli.main(["dead-letters", "replay", "--database", url]) == ExitCode.DATABASE
        assert len(letters.listing()) == 1


class TestOneShots:
    def test_prices_come_from_the_demo_market_which_ends_with_the_command(
        self, home: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["quote", "AAPL", "brk.b", "NOPE1", "--demo", "--json"]) == ExitCode.INCOMPLETE
        captured = capsys.readouterr()
        assert [record["symbol"] for record in json.loads(captured.out)] == ["AAPL", "BRK.B"]
        assert "no price for NOPE1" in captured.err

    def test_the_list_is_complete(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["constituents", "--demo", "--json"]) == ExitCode.OK
        captured = capsys.readouterr()
        assert len(json.loads(captured.out)) == 503
        assert captured.err == ""

    def test_simulate_serves_until_a_signal(self, home: Path) -> None:
        program = started("simulate", "--json")
        assert program.stdout is not None
        assert "127.0.0.1" in program.stdout.readline()
        program.send_signal(signal.SIGTERM)
        program.communicate(timeout=TIMEOUT)


@pytest.mark.thorough
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can become another user, by setpriv",
)
def test_an_ordinary_user_gets_the_same(home: Path) -> None:
    # given a user without rights, and a home that is theirs
    theirs = home / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    variables = {
        f"XDG_{name}_HOME": str(theirs / name.lower()) for name in ("CACHE", "CONFIG", "DATA", "STATE")
    }
    environment = {**os.environ, **variables, "HOME": str(theirs), "SP500TUI_DATA_DIR": str(theirs / "data")}

    # when they run it (they may read what root reads, since this Python may lie in root's home)
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    may_read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    arguments = ["--no-ui", "--demo", "--once", "--json", "--symbols", "AAPL"]
    code, out, errors = ran(*arguments, by=[*become, *may_read], env=environment)

    # then it is stored, and no other user can read it
    assert code == ExitCode.OK, errors
    assert json.loads(out)["quotes"]["stored"] == 1
    assert (theirs / "data" / "demo").stat().st_mode & 0o077 == 0
    assert (theirs / "state" / "sp500tui" / "log" / "app.log").stat().st_mode & 0o077 == 0

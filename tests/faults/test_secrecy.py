"""Guarantee: files are readable by their owner only, and no output contains a password."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psutil
import pytest

from sp500tui.storage.embedded.process import find_running
from tests.faults.rig.engine import EngineStarter
from tests.faults.rig.program import Launcher, wait_for
from tests.faults.rig.steps import running
from tests.support.parameters import rest_thorough
from tests.support.postgres.server import TcpPostgres


def readable_by_others(folder: Path) -> list[Path]:
    """Files that others may read, in folders that others may enter."""
    found: list[Path] = []
    for parent, _, names in os.walk(folder):
        found += [Path(parent) / name for name in names if (Path(parent) / name).stat().st_mode & 0o044]
    return found


@pytest.mark.thorough
def test_data_journal_and_logs_are_their_owners_only(launch: Launcher, database_url: str) -> None:
    program = running(launch, database_url)
    wait_for(lambda: list(program.journal.rglob("*.journal")), "a journal file")
    assert stat.S_IMODE(program.journal.stat().st_mode) == 0o700
    assert readable_by_others(program.data_dir) == []
    assert stat.S_IMODE((launch.folder / "app.log").stat().st_mode) == 0o600
    assert program.stops() == 143


@pytest.mark.thorough
def test_the_embedded_server_listens_on_no_port(engine: EngineStarter) -> None:
    run = engine(None)
    run.stores()
    pgdata = engine.folder / "data" / "live" / "pgdata"
    server = find_running(pgdata)
    assert server is not None
    assert [c for p in [server, *server.children()] for c in p.net_connections("inet")] == []
    assert stat.S_IMODE(pgdata.stat().st_mode) == 0o700
    (socket,) = [path for path in pgdata.iterdir() if stat.S_ISSOCK(path.stat().st_mode)]
    assert stat.S_IMODE(socket.stat().st_mode) & 0o077 == 0


@pytest.mark.slow
@pytest.mark.parametrize("password", rest_thorough(["wrong", "right"]))
def test_no_output_contains_a_password(launch: Launcher, tcp_postgres: TcpPostgres, password: str) -> None:
    url = tcp_postgres.url if password == "right" else tcp_postgres.url_for("admin", "wr0ng/secret word")
    secrets = ["s3cret", "wr0ng"]
    program = launch("--log-level=DEBUG", database=None, symbols="AAPL", DATABASE=url)
    if password == "right":
        program.hears("cycle 2 finished")
        lines = [" ".join(process.cmdline()) for process in program.family()]
        assert not [line for line in lines if any(secret in line for secret in secrets)]
        assert program.stops() == 143
    else:
        assert program.ends() == 4
    texts = [program.said(), program.stdout.read_text()]
    texts += [path.read_text(errors="replace") for path in launch.folder.rglob("*.log*")]
    assert not [text for text in texts if any(secret in text for secret in secrets)]


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["A'; DROP TABLE prices;--", "\x1b[2Jevil", "A,NULL"])
def test_hostile_names_reach_nothing(launch: Launcher, database_url: str, name: str) -> None:
    program = launch("--once", database=database_url, symbols=name)
    code = program.ends()
    assert code in (1, 2, 3), program.said()
    assert "\x1b" not in program.said()
    assert "Traceback" not in program.said()


@pytest.mark.thorough
def test_a_demo_market_is_on_the_loopback_only_and_its_key_never_on_disk(launch: Launcher) -> None:
    market = psutil.Process(launch.market.pid)
    assert {c.laddr.ip for c in market.net_connections("inet") if c.status == "LISTEN"} == {"127.0.0.1"}
    assert "PRIVATE KEY" not in launch.market.ca_file.read_text()

"""The messages to systemd through its notification socket."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sp500tui.headless.service_manager import ServiceManager
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import DatabaseSnapshot, Health, Phase
from tests.support.pipeline.fake_run import a_snapshot
from tests.support.postgres.server import public_folder
from tests.support.waiting import FakeClock

RUNNING = replace(a_snapshot(), database=DatabaseSnapshot(Health.OK))
STARTING = replace(RUNNING, phase=Phase.STARTING)


class Manager:
    """The receiving end of the socket."""

    def __init__(self, address: str, **environment: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)
        self.clock = FakeClock()
        self.service = ServiceManager({"NOTIFY_SOCKET": address, **environment}, self.clock)

    def received(self) -> list[str]:
        """The lines of all messages so far."""
        lines: list[str] = []
        while True:
            try:
                lines += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return lines


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"@sp500tui-{os.getpid()}" if request.param == "abstract" else str(Path(folder) / "notify")


@pytest.fixture
def manager(address: str) -> Iterator[Manager]:
    made = Manager(address, WATCHDOG_USEC="20000000")
    yield made
    made.socket.close()


def test_a_run_is_ready_once_it_collects_prices(manager: Manager) -> None:
    manager.service.update(STARTING, 0.0)
    assert [line for line in manager.received() if line.startswith("READY")] == []
    manager.service.update(RUNNING, 0.0)
    manager.service.update(RUNNING, 0.0)
    assert [line for line in manager.received() if line.startswith("READY")] == ["READY=1"]


def test_the_status_is_the_equation_with_the_reason_of_a_failure(manager: Manager) -> None:
    manager.service.update(RUNNING, 0.0)
    assert "STATUS=fetched 503 = stored 500 + duplicate 3" in manager.received()
    manager.clock.now += 6
    down = replace(RUNNING, database=DatabaseSnapshot(Health.DOWN, "refused"))
    manager.service.update(down, 0.0)
    assert "STATUS=fetched 503 = stored 500 + duplicate 3; database: refused" in manager.received()


def test_the_status_changes_at_most_every_five_seconds(manager: Manager) -> None:
    manager.service.update(RUNNING, 0.0)
    for fetched in range(10):
        manager.clock.now += 1
        manager.service.update(replace(RUNNING, ledger=Ledger(fetched, fetched)), 0.0)
    assert len([line for line in manager.received() if line.startswith("STATUS")]) == 3


def test_the_watchdog_is_fed_by_the_progress_of_the_supervisor(manager: Manager) -> None:
    manager.service.update(RUNNING, 0.5)
    assert "WATCHDOG=1" in manager.received()
    manager.clock.now += 6
    manager.service.update(RUNNING, 15.0)
    assert "WATCHDOG=1" not in manager.received()


def test_it_is_called_often_enough_for_the_watchdog(address: str) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"})
    assert service.interval == 1.0
    assert ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "500000"}).interval == 0.25


@pytest.mark.parametrize(
    "environment", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}]
)
def test_a_watchdog_of_another_process_or_without_time_is_ignored(
    address: str, environment: dict[str, str]
) -> None:
    manager = Manager(address, **{"WATCHDOG_USEC": "1000000"} | environment)
    manager.service.update(RUNNING, 0.0)
    assert "WATCHDOG=1" not in manager.received()
    manager.socket.close()


def test_the_end_is_reported(manager: Manager) -> None:
    manager.service.stopping("draining: storing everything already fetched\nnow")
    assert manager.received() == ["STOPPING=1", "STATUS=draining: storing everything already fetched now"]


def test_ready_is_sent_until_it_is_received(address: str) -> None:
    # given a service manager that does not listen yet
    service = ServiceManager({"NOTIFY_SOCKET": address})
    service.update(RUNNING, 0.0)
    # when it listens, then it learns that the run is ready, once
    manager = Manager(address)
    service.update(RUNNING, 0.0)
    service.update(RUNNING, 0.0)
    assert [line for line in manager.received() if line.startswith("READY")] == ["READY=1"]
    manager.socket.close()


def test_an_end_without_a_signal_is_reported_too(manager: Manager) -> None:
    manager.service.update(RUNNING, 0.0)
    manager.received()
    draining = replace(RUNNING, phase=Phase.DRAINING)
    manager.service.update(draining, 0.0)
    manager.service.update(draining, 0.0)
    assert [line for line in manager.received() if line.startswith("STOPPING")] == ["STOPPING=1"]


def test_a_short_watchdog_is_fed_during_a_step_of_the_supervisor(address: str) -> None:
    manager = Manager(address, WATCHDOG_USEC="1000000")
    manager.service.update(RUNNING, 1.1)
    assert "WATCHDOG=1" in manager.received()
    manager.service.update(RUNNING, 3.0)
    assert "WATCHDOG=1" not in manager.received()
    manager.socket.close()


def test_text_without_an_encoding_is_replaced(manager: Manager) -> None:
    manager.service.update(replace(RUNNING, database=DatabaseSnapshot(Health.DOWN, "\udcff")), 0.0)
    assert any(line.endswith("; database: ?") for line in manager.received())


def test_without_a_service_manager_nothing_is_sent() -> None:
    service = ServiceManager({})
    service.update(RUNNING, 0.0)
    service.stopping("end")
    assert service.interval is None


def test_a_service_manager_that_has_exited_is_ignored(manager: Manager) -> None:
    manager.socket.close()
    manager.service.update(RUNNING, 0.0)


@pytest.mark.thorough
def test_a_real_run_reports_ready_and_its_equation_and_logs_only_to_stderr(tmp_path: Path) -> None:
    folder = public_folder()
    address = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(90)
        command = [
            sys.executable,
            "-m",
            "sp500tui",
            "--no-ui",
            "--demo",
            "--symbols=AAPL",
            f"--data-dir={folder}",
        ]
        environment = os.environ | {
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": "4000000",
            "HOME": str(tmp_path),
        }
        environment |= {"XDG_STATE_HOME": str(tmp_path), "SP500TUI_LOG_FILE": "none"}
        run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        seen: set[str] = set()
        while not {"READY=1", "WATCHDOG=1", "STATUS=fetched 1 = stored 1"} <= seen:
            lines = receiver.recv(4096).decode().split("\n")
            seen |= {re.sub(r"fetched .*", "fetched 1 = stored 1", line) for line in lines}
        run.terminate()
        while "STOPPING=1" not in seen:
            seen |= set(receiver.recv(4096).decode().split("\n"))
        _, errors = run.communicate(timeout=60)
    assert run.returncode == 143
    assert b"INFO    main sp500tui.headless.runner: started" in errors
    assert list(tmp_path.rglob("*.log")) == []
    shutil.rmtree(folder, ignore_errors=True)

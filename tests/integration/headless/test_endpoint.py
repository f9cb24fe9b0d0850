"""The HTTP endpoint of a run: paths, health, bad clients and addresses, and a real Prometheus."""

from __future__ import annotations

import errno
import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sp500tui.errors import ConfigurationError
from sp500tui.headless.endpoint import Endpoint, serving
from sp500tui.pipeline.core.names import QueueName
from sp500tui.pipeline.core.snapshot import ConstituentsSnapshot, DatabaseSnapshot, Health
from tests.faults.rig.program import wait_for
from tests.support.pipeline.fake_run import FakeRun, a_snapshot
from tests.support.ports import free_port
from tests.support.postgres.server import public_folder

WELL = replace(
    a_snapshot(),
    database=DatabaseSnapshot(Health.OK),
    constituents=ConstituentsSnapshot(Health.OK, count=503),
)
BOARD = Path(__file__).parents[3] / "docs" / "grafana.json"
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")), reason="Prometheus is not installed"
)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(f"127.0.0.1:{free_port()}") as endpoint:
        endpoint.run = FakeRun(WELL)
        yield endpoint


def ask(endpoint: Endpoint, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_waits_while_no_descriptor_is_free(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a connection that cannot be accepted and stays pending
    attempts: list[float] = []
    accept = socket.socket.accept

    def refuse(self: socket.socket) -> tuple[socket.socket, Any]:
        attempts.append(time.monotonic())
        if len(attempts) > 3:
            return accept(self)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket.socket, "accept", refuse)
    # when it is accepted at the fourth attempt
    assert ask(endpoint, "/healthz") == (200, "ok\n")
    # then the earlier attempts were not a busy loop
    assert attempts[3] - attempts[0] > 0.3


@pytest.mark.parametrize(
    ("path", "method", "status", "words"),
    [
        ("/", "GET", 200, "/metrics, /healthz and /readyz"),
        ("/metrics", "GET", 200, 'sp500tui_quotes_total{outcome="stored"} 500.0'),
        ("/metrics?name[]=sp500tui_phase", "GET", 200, "sp500tui_phase"),
        ("/healthz", "GET", 200, "ok"),
        ("/readyz", "GET", 200, "ok"),
        ("/healthz", "HEAD", 200, ""),
        ("/metrics", "HEAD", 200, ""),
        ("/nothing", "GET", 404, "available: /metrics"),
        ("/../etc/passwd", "GET", 404, "available: /metrics"),
        ("/metrics", "POST", 405, "only GET"),
    ],
)
def test_paths(endpoint: Endpoint, path: str, method: str, status: int, words: str) -> None:
    answered, text = ask(endpoint, path, method)
    assert answered == status
    assert words in text


def test_an_unhealthy_run_is_reported_with_the_reason(endpoint: Endpoint) -> None:
    endpoint.run = FakeRun(replace(WELL, database=DatabaseSnapshot(Health.DOWN, "connection refused")))
    assert ask(endpoint, "/healthz") == (503, "database: connection refused\n")
    assert ask(endpoint, "/readyz") == (503, "connection refused\n")


def test_before_the_run_exists_it_is_healthy_and_not_ready(endpoint: Endpoint) -> None:
    endpoint.run = None
    assert ask(endpoint, "/healthz") == (200, "ok\n")
    assert ask(endpoint, "/readyz") == (503, "the pipeline is starting\n")
    assert "sp500tui_build_info" in ask(endpoint, "/metrics")[1]


def test_clients_that_are_silent_or_send_garbage_delay_no_other(endpoint: Endpoint) -> None:
    clients = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(20)]
    for client in clients[:10]:
        client.sendall(b"\xff\x00\r\n\r\n" * 10)
    assert ask(endpoint, "/healthz")[0] == 200
    for client in clients:
        client.close()


@pytest.mark.parametrize(("path", "method"), [("/metrics", "GET"), ("/healthz", "GET"), ("/readyz", "HEAD")])
def test_a_pipeline_that_cannot_be_read_is_an_answer_and_no_traceback(
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    path: str,
    method: str,
) -> None:
    monkeypatch.setattr(endpoint.run, "snapshot", lambda: 1 / 0)
    status, text = ask(endpoint, path, method)
    assert status == 500
    assert text in ("", "the pipeline could not be read; its log has the reason\n")
    assert "division by zero" in caplog.text
    assert "Traceback" not in capfd.readouterr().err


def test_no_name_server_is_queried(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise AssertionError("a name server was queried")

    monkeypatch.setattr(socket, "getfqdn", refuse)
    with serving(f"127.0.0.1:{free_port()}") as endpoint:
        assert ask(endpoint, "/healthz") == (200, "ok\n")


def test_a_port_in_use_is_refused_with_the_remedy(endpoint: Endpoint) -> None:
    with pytest.raises(ConfigurationError, match="Address already in use; choose another"):
        Endpoint(f"127.0.0.1:{endpoint.port}")


@pytest.mark.parametrize(
    "address", ["192.0.2.1:9464", "no-such-host.invalid:9464", f"{'x' * 70}.invalid:9464"]
)
def test_an_address_of_another_machine_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--metrics {address} cannot be used: .*; choose another$"):
        Endpoint(address)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r"install sp500tui\[metrics\]"):
        Endpoint("127.0.0.1:9464")


def test_a_port_is_free_again_after_the_run() -> None:
    address = f"127.0.0.1:{free_port()}"
    for _ in range(2):
        with serving(address) as endpoint:
            endpoint.run = FakeRun(WELL)
            assert ask(endpoint, "/healthz")[0] == 200


@needs_prometheus
def test_promtool_accepts_the_metrics(endpoint: Endpoint) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=ask(endpoint, "/metrics")[1].encode(),
        capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, b"")


@needs_prometheus
@pytest.mark.thorough
def test_a_real_prometheus_scrapes_a_real_run(tmp_path: Path) -> None:
    """Prometheus has the age of the oldest row and every metric of the Grafana board."""
    metrics, web = free_port(), free_port()
    folder = public_folder()
    (tmp_path / "prometheus.yml").write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "1s"},
                "scrape_configs": [
                    {"job_name": "sp500tui", "static_configs": [{"targets": [f"127.0.0.1:{metrics}"]}]}
                ],
            }
        )
    )
    command = [sys.executable, "-m", "sp500tui", "--no-ui", "--demo", "--interval=1", f"--data-dir={folder}"]
    command += [f"--metrics=127.0.0.1:{metrics}", "--log-file=none"]
    server = [
        "prometheus",
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
    ]
    server += [f"--web.listen-address=127.0.0.1:{web}", "--log.level=error"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    run, prometheus = subprocess.Popen(command, **quiet), subprocess.Popen(server, **quiet)

    def answer(query: str) -> list[dict[str, Any]]:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{web}/api/v1/query?query={quote(query)}", timeout=10
            ) as body:
                result: list[dict[str, Any]] = json.load(body)["data"]["result"]
                return result
        except OSError:
            return []

    try:
        wait_for(lambda: answer('sp500tui_quotes_total{outcome="stored"} > 0'), "stored quotes in Prometheus")
        (oldest,) = answer('sp500tui_symbol_age_seconds{quantile="1"}')
        assert 0 <= float(oldest["value"][1]) < 86_400
        queues = {each["metric"]["queue"] for each in answer("sp500tui_queue_oldest_seconds")}
        assert queues == set(QueueName)
        # Rates need two scrapes.
        wait_for(lambda: all(map(answer, board_queries())), f"answers to {board_queries()}")
    finally:
        run.terminate()
        prometheus.terminate()
        assert run.wait(60) == 143
        prometheus.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def board_queries() -> list[str]:
    """The queries of the Grafana board, with a value for its interval."""
    panels = json.loads(BOARD.read_text())["panels"]
    return [
        target["expr"].replace("$__rate_interval", "5s")
        for panel in panels
        for target in panel.get("targets", [])
    ]

"""Every thread of the program raises once: the error is logged, counted, and retried or fails the run."""

from __future__ import annotations

import ast
import logging
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar
from wsgiref.simple_server import WSGIServer

import pytest

import sp500tui
from sp500tui.cli.interruptible import interruptible
from sp500tui.cluster.node.lifecycle import NodeLifecycle
from sp500tui.cluster.shared.price_feed import PriceFeed
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import ExitCode
from sp500tui.headless.endpoint import serving
from sp500tui.logs.setup import NoLog
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.latest_prices import LatestPrices
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.queue import MemoryQueue
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.pipeline.core.timing.interpreter_lock import LockGauge
from sp500tui.pipeline.core.worker import Worker
from sp500tui.pipeline.core.worker_pool import WorkerPool
from sp500tui.pipeline.monitoring.market_clock import MarketClock
from sp500tui.pipeline.report import RunReport
from sp500tui.pipeline.runtime.database_monitor import DatabaseMonitor
from sp500tui.pipeline.runtime.history import HistoryRun
from sp500tui.pipeline.runtime.maintenance import Maintenance
from sp500tui.pipeline.runtime.pipeline import Pipeline
from sp500tui.pipeline.runtime.self_pipe import SelfPipe
from sp500tui.pipeline.runtime.supervisor import Supervisor
from sp500tui.pipeline.writer.database_health import DatabaseHealth
from sp500tui.remote.client import RemotePipeline
from sp500tui.remote.recording.recorder import Recorder
from sp500tui.remote.server import ControlServer
from sp500tui.remote.wire import RunFacts
from sp500tui.tui.demo.tour import Tour, TourControl
from sp500tui.tui.shell.background import start_in_background
from sp500tui.tui.startup import PipelineLoader
from sp500tui.tui.terminal.driver import NonBlockingWriter
from tests.support.pipeline.rows import row
from tests.support.pipeline.writer_harness import Open
from tests.support.ports import free_port
from tests.support.remote.control_socket import Serve
from tests.support.tui.canned_market import CannedMarket
from tests.support.tui.fake_pipeline import FakePipeline
from tests.support.waiting import Wait

PACKAGE = Path(sp500tui.__file__).parent


class UnexpectedError(Exception):
    """An error that no thread expects."""


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in names:
                yield node


def modules() -> Iterator[tuple[str, ast.AST]]:
    """Every module except the lessons, whose experiments compare threads and run outside the pipeline."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if not path.is_relative_to(PACKAGE / "lessons"):
            yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text())


SCENARIOS = {
    "cli/interruptible.py": "test_a_call_that_stop_signals_end_raises_to_its_caller",
    "cluster/node/lifecycle.py": "test_the_release_of_leases_is_retried",
    "cluster/shared/price_feed.py": "test_the_price_feed_survives_an_exception",
    "pipeline/runtime/database_monitor.py": "test_the_database_monitor_fails_a_run_that_has_no_database",
    "pipeline/runtime/lifecycle.py": "test_a_supervisor_that_fails_ends_the_run",
    "pipeline/monitoring/market_clock.py": "test_the_market_clock_survives_an_exception",
    "pipeline/core/timing/interpreter_lock.py": "test_the_gauge_of_the_interpreter_lock_survives_an_exception",
    "pipeline/core/worker.py": "test_a_worker_survives_an_exception",
    "pipeline/core/worker_pool.py": "test_a_worker_survives_an_exception",
    "pipeline/writer/spooler.py": "test_the_spooler_survives_an_exception",
    "pipeline/writer/process.py": "test_a_writer_that_cannot_watch_its_pipe_ends",
    "tui/startup.py": "test_a_pipeline_that_cannot_be_opened_is_shown",
    "tui/shell/background.py": "test_a_background_call_of_a_screen_is_logged",
    "tui/terminal/driver.py": "test_the_terminal_writer_survives_an_exception",
    "pipeline/runtime/maintenance.py": "test_the_maintenance_survives_an_exception",
    "tui/demo/tour.py": "test_a_tour_that_fails_is_over",
    "remote/client.py": "test_a_viewer_survives_an_exception",
    "remote/recording/recorder.py": "test_a_recorder_survives_an_exception",
    "remote/server.py": "test_the_control_socket_survives_an_exception",
    "headless/endpoint.py": "test_the_metrics_endpoint_survives_an_exception",
    "pipeline/runtime/self_pipe.py": "test_a_wake_up_is_not_lost",
}
"""Module that creates service threads → the test here in which one of them raises."""


def test_every_thread_is_a_service_thread_and_has_a_scenario() -> None:
    """Nothing else in the source creates threads, and each module that creates service threads is tested below."""
    makers: set[str] = set()
    for name, tree in modules():
        if any(calls(tree, "ServiceThread")):
            makers.add(name)
        others = list(
            calls(
                tree,
                "Thread",
                "Timer",
                "ThreadPoolExecutor",
                "start_new_thread",
                "run_in_executor",
                "to_thread",
            )
        )
        assert not others or name == "pipeline/core/service_thread.py", f"{name} makes a thread of its own"
    assert makers == set(SCENARIOS)
    assert all(callable(globals()[test]) for test in SCENARIOS.values())


@pytest.fixture
def seen(caplog: pytest.LogCaptureFixture) -> Callable[[str], bool]:
    """Whether a thread's failure is in the log, with the traceback of the unexpected error."""
    caplog.set_level(logging.ERROR)

    def look(name: str) -> bool:
        return any(
            record.exc_info
            and isinstance(record.exc_info[1], UnexpectedError)
            and name in record.getMessage()
            for record in list(caplog.records)
        )

    return look


def raising_first(act: Callable[..., Any], times: int = 1) -> Callable[..., Any]:
    """Like `act`, but the first calls raise."""
    left = [times]

    def call(*args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise UnexpectedError("broken")
        return act(*args, **kwargs)

    return call


def always_raising(*_args: Any, **_kwargs: Any) -> Any:
    raise UnexpectedError("broken")


def test_the_control_socket_survives_an_exception(
    seen: Callable[[str], bool], eventually: Wait, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    monkeypatch.setattr(ControlServer, "_close_quiet", raising_first(ControlServer._close_quiet))
    with served.raw():
        eventually(lambda: seen("control-socket"))
    viewer = RemotePipeline(served.data)
    assert viewer.snapshot().phase is Phase.RUNNING
    viewer.close()


def test_a_viewer_survives_an_exception(seen: Callable[[str], bool], eventually: Wait, serve: Serve) -> None:
    viewer = RemotePipeline(serve().data, rate=30.0)
    viewer.thread.jitter = lambda: 0.0
    viewer._apply = raising_first(viewer._apply)  # type: ignore[method-assign]
    viewer.start()
    eventually(lambda: seen("viewer"))
    eventually(lambda: viewer.thread.failures == 1 and viewer.thread.is_alive())
    assert viewer.snapshot().phase is Phase.RUNNING
    viewer.close()


def test_a_recorder_survives_an_exception(seen: Callable[[str], bool], eventually: Wait) -> None:
    facts = RunFacts(demo=True, currency="DKK", drain_timeout=30.0, broker="")
    recorder = Recorder(FakePipeline(), facts, NoLog(), interval=0.01)
    recorder.thread.jitter = lambda: 0.0
    recorder.record = raising_first(recorder.record)  # type: ignore[method-assign]
    recorder.start()
    eventually(lambda: seen("recorder failed") and recorder.thread.failures == 1)
    eventually(lambda: recorder.recent_recording() is not None)
    recorder.close()


def test_the_maintenance_survives_an_exception(
    tmp_path: Path, eventually: Wait, seen: Callable[[str], bool]
) -> None:
    health = DatabaseHealth(lambda _: None)
    health.ready.set()
    settings = Settings(data_dir=tmp_path, heal=True)
    maintenance = Maintenance(
        settings,
        HistoryRun(
            settings,
            Paths.of(settings),
            url=lambda: "postgresql://nowhere",
            fetch=always_raising,
            health=health,
            publish=lambda _: None,
        ),
        url=lambda: "postgresql://nowhere",
        symbols=always_raising,
        fetch=always_raising,
        background=nullcontext,
        health=health,
    )
    maintenance.thread.jitter = lambda: 0.0
    maintenance.thread.start()
    eventually(lambda: seen("maintenance failed") and maintenance.thread.failures >= 2)
    assert maintenance.thread.is_alive()
    maintenance.thread.stop()
    assert maintenance.thread.join(60)


def test_a_tour_that_fails_is_over(
    eventually: Wait, seen: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tour, "run", always_raising)
    control = TourControl(Settings(demo=True))
    pipeline = FakePipeline()
    pipeline.demo_market = CannedMarket()
    assert control.start(pipeline) == ""
    eventually(lambda: seen("tour failed") and not control.is_running)


def test_the_metrics_endpoint_survives_an_exception(
    seen: Callable[[str], bool], eventually: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WSGIServer, "handle_request", raising_first(WSGIServer.handle_request))
    with serving(f"127.0.0.1:{free_port()}") as endpoint:
        address = f"http://127.0.0.1:{endpoint.port}/healthz"
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert answer.status == 200
        eventually(lambda: seen("metrics"))


def test_a_call_that_stop_signals_end_raises_to_its_caller() -> None:
    @interruptible
    def broken() -> None:
        raise UnexpectedError("broken")

    with pytest.raises(UnexpectedError):
        broken()


def test_the_spooler_survives_an_exception(
    open_writers: Open, seen: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch, eventually: Wait
) -> None:
    with open_writers(away=True, spooling=True) as harness:
        monkeypatch.setattr(harness.journal, "spool", raising_first(harness.journal.spool))
        harness.put([row(1)])
        eventually(lambda: harness.ledger().spooled == 1)
    assert seen("spooler")


def test_the_market_clock_survives_an_exception(eventually: Wait, seen: Callable[[str], bool]) -> None:
    asked = threading.Event()

    def ask() -> Any:
        asked.set()
        raise UnexpectedError("broken") if clock.thread.failures < 2 else SystemExit

    clock = MarketClock(ask, lambda: object())  # type: ignore[arg-type, return-value]
    clock.thread.jitter = lambda: 0.0
    clock.thread.start()
    eventually(lambda: clock.thread.failures >= 3)
    assert clock.thread.is_alive()
    eventually(lambda: seen("market-clock failed"))
    clock.close()
    assert clock.thread.join(60)


def test_the_price_feed_survives_an_exception(
    eventually: Wait, seen: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    feed = PriceFeed(LatestPrices(), lambda: "postgresql://nowhere", overlap=10)
    feed.thread.jitter = lambda: 0.0
    monkeypatch.setattr(feed, "_poll", raising_first(looked.set))
    feed.thread.start()
    feed.stored(5)
    assert looked.wait(60)
    assert feed.thread.failures == 1
    eventually(lambda: seen("price-feed failed"))
    feed.close()
    assert feed.thread.join(60)


def test_the_gauge_of_the_interpreter_lock_survives_an_exception(
    eventually: Wait, seen: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled = threading.Event()
    with LockGauge() as gauge:
        gauge.thread.jitter = lambda: 0.0
        monkeypatch.setattr(gauge.account, "record", raising_first(lambda *_: sampled.set()))
        gauge.thread.start()
        assert sampled.wait(60)
        assert gauge.thread.failures == 1
        eventually(lambda: seen("interpreter-lock failed"))


def test_the_terminal_writer_survives_an_exception(
    eventually: Wait, seen: Callable[[str], bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repainted = threading.Event()
    with (tmp_path / "terminal").open("w") as file:
        terminal = NonBlockingWriter(file.fileno(), repainted.set)
        monkeypatch.setattr(terminal, "_write_all", raising_first(terminal._write_all))
        terminal.write("lost")
        eventually(lambda: terminal.thread.failures == 1)
        terminal.write("kept")
        assert terminal.drain(10)
        assert repainted.wait(60), "what was lost is painted again"
    assert (tmp_path / "terminal").read_text() == "kept"
    eventually(lambda: seen("terminal failed"))


def test_a_background_call_of_a_screen_is_logged(eventually: Wait, seen: Callable[[str], bool]) -> None:
    start_in_background("reader-closing", always_raising)
    eventually(lambda: seen("reader-closing failed"))


def test_a_wake_up_is_not_lost(seen: Callable[[str], bool]) -> None:
    pipe = SelfPipe()
    pipe.notify_after(raising_first(lambda: None))
    pipe.sleep(20)
    assert seen("wakeup failed")
    pipe.close()


def test_a_pipeline_that_cannot_be_opened_is_shown(eventually: Wait, seen: Callable[[str], bool]) -> None:
    posted: list[Any] = []

    def post(message: Any) -> bool:
        posted.append(message)
        return True

    opener = PipelineLoader(always_raising, post)
    opener.start()
    eventually(lambda: posted)
    assert isinstance(posted[0].error, UnexpectedError)
    eventually(lambda: seen("pipeline-opener failed"))


def test_a_worker_survives_an_exception(eventually: Wait, seen: Callable[[str], bool]) -> None:
    """Also if its recovery fails, which only the thread itself can handle."""
    queue: MemoryQueue[int] = MemoryQueue(10)
    done: list[int] = []

    class FailsOnce:
        def __init__(self, worker: Worker) -> None:
            self.worker = worker

        def run_once(self) -> None:
            lease = self.worker.take(queue, 1)
            if lease is None:
                return
            if not done:
                done.append(0)
                raise SystemExit(1)
            lease.ack()
            done.extend(lease.items)

        def close(self) -> None:
            """Nothing to close."""

    stage = WorkerPool(
        StageName.CONVERTER, FailsOnce, 1, listener=always_raising, jitter=raising_first(lambda: 0.0)
    )
    stage.start()
    (worker,) = stage.workers
    worker.thread.jitter = lambda: 0.0
    queue.put([7])
    eventually(lambda: worker.thread.failures == 1)
    eventually(lambda: seen("converter-1 failed"))
    queue.put([8])
    eventually(lambda: 8 in done)
    stage.shutdown_now()
    assert stage.join(60)


def test_the_release_of_leases_is_retried(
    eventually: Wait, seen: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back = threading.Event()

    class StubComponents:
        writer_stage = type("StubStage", (), {"spooling_since": None})()
        stages: ClassVar[dict[StageName, WorkerPool]] = {}

        release_leases = staticmethod(raising_first(given_back.set))

    lifecycle = object.__new__(NodeLifecycle)
    lifecycle.components = StubComponents()  # type: ignore[assignment]
    monkeypatch.setattr(lifecycle, "_enter", lambda _phase: None)
    lifecycle._release_leases()
    assert given_back.wait(60)
    eventually(lambda: seen("release-leases failed"))


def test_a_writer_that_cannot_watch_its_pipe_ends() -> None:
    """If a writer process cannot watch its pipe, it ends, so that it cannot outlive the program."""
    program = (
        "import os, select, socket, sys\n"
        "def poll(): raise OSError('broken')\n"
        "select.poll = poll\n"
        "from sp500tui.pipeline.writer import process\n"
        "process.main(int(sys.argv[1]))\n"
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.run(
            [sys.executable, "-c", program, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert process.returncode == 1
    assert b"OSError: broken" in process.stderr


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        demo=True, no_ui=True, once=True, data_dir=tmp_path, database="postgresql:///none", symbols=("AAPL",)
    )


def run_to_the_end(
    settings: Settings, connect: Callable[..., Any] = always_raising
) -> tuple[RunReport, Pipeline]:
    paths = Paths.of(settings)
    paths.prepare()
    pipeline = Pipeline(settings, paths, connect=connect)
    pipeline.start()
    ended = pipeline.join(30)
    if not ended:
        pipeline.stop(ShutdownLevel.KILL)
    assert ended, "the run never ended"
    return pipeline.outcome(), pipeline


def test_a_supervisor_that_fails_ends_the_run(
    settings: Settings, seen: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DatabaseMonitor, "_tick", lambda _self: None)
    report, pipeline = run_to_the_end(settings)
    assert report.outcome == "failed"
    assert "UnexpectedError: broken" in report.failure
    assert pipeline.snapshot().phase is Phase.FAILED
    assert seen("failed")


@pytest.mark.parametrize("step", ["_run", "_finish"])
def test_a_supervisor_that_fails_outside_every_guard_ends_the_run(
    settings: Settings, seen: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(DatabaseMonitor, "_tick", lambda _self: None)
    if step == "_run":
        monkeypatch.setattr(Supervisor, "_run", always_raising)
    else:
        monkeypatch.setattr(Supervisor, "_enter", always_raising)
    report, _ = run_to_the_end(settings)
    assert report.outcome == "failed"
    assert seen("")


@pytest.mark.parametrize("once", [True, False], ids=["bounded", "endless"])
def test_the_database_monitor_fails_a_run_that_has_no_database(
    settings: Settings, seen: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch, once: bool
) -> None:
    """Immediately for a bounded run, after some attempts for an unbounded one."""
    monkeypatch.setattr(DatabaseMonitor, "_tick", always_raising)
    started = time.monotonic()
    report, pipeline = run_to_the_end(
        settings.model_copy(update={"once": once}), connect=lambda *_args, **_options: None
    )
    assert time.monotonic() - started < 30
    assert (report.outcome, report.failure_code) == ("failed", ExitCode.DATABASE)
    assert "unexpected UnexpectedError: broken" in report.failure
    assert pipeline.components.database_monitor.thread.failures == (1 if once else 5)
    assert seen("database-monitor failed")

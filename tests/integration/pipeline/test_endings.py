"""Runs inside this process whose start, drain or closing fails: they end in time, report it, and close every part."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from sp500tui.cluster.broker.errors import BrokerError
from sp500tui.cluster.node.node import ClusterNode
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.errors import (
    ConfigurationError,
    DatabaseError,
    ExitCode,
    JournalError,
    SourceError,
    Sp500tuiError,
)
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.snapshot import Health, Phase, Snapshot
from sp500tui.pipeline.report import RunReport, exit_code
from sp500tui.pipeline.runtime import lifecycle
from sp500tui.pipeline.runtime.pipeline import Pipeline
from sp500tui.simulator.process import DemoMarket
from tests.faults.rig.program import wait_for
from tests.support.cluster.valkey import ValkeyServer
from tests.support.parameters import rest_thorough
from tests.support.postgres.server import public_folder

Run = Pipeline | ClusterNode
Begin = Callable[..., Run]

IN_TIME = 60.0
"""Maximum seconds of a clean shutdown on a busy machine; without failures it takes less than one."""
STEPS = {
    "pipeline": [
        "components.spooler.close",
        "_lifecycle.market_clock.close",
        "components.database_monitor.close",
        "components.database_monitor._database.close",
        "components.journal.close",
        "components.sources.close",
        "components.sources.yahoo.close",
    ],
    "worker": [
        "_lifecycle.market_clock.close",
        "components.release_all_leases",
        "components.membership.deregister",
        "components.feed.close",
        "components.database_monitor.close",
        "components.sources.close",
        "components.broker.close",
    ],
    "top": [
        "components.membership.deregister",
        "components.feed.close",
        "components.database_monitor.close",
        "components.broker.close",
    ],
}
"""The calls with which each kind of run ends."""
EACH_STEP = [
    step for kind, steps in STEPS.items() for step in rest_thorough([(kind, step) for step in steps])
]
STAGES = [f"components.stages.{stage}.start" for stage in ("writer", "converter", "price", "scraper")]
START_STEPS = {
    "pipeline": [
        "components.journal.open",
        "components.database_monitor.thread.start",
        "components.spooler.thread.start",
        "_lifecycle._connect",
        *STAGES,
        "_lifecycle._open_market_clock",
    ],
    "worker": [
        "components.broker.open",
        "_lifecycle.control_loop.join",
        "components.database_monitor.thread.start",
        "_lifecycle._open_sources",
        *STAGES,
        "components.feed.thread.start",
        "_lifecycle._open_market_clock",
    ],
    "top": [
        "components.broker.open",
        "_lifecycle.control_loop.join",
        "components.database_monitor.thread.start",
        "components.feed.thread.start",
    ],
}
"""The calls with which each kind of run starts."""
EACH_START_STEP = [
    step for kind, steps in START_STEPS.items() for step in rest_thorough([(kind, step) for step in steps], 2)
]
START_ERRORS = [
    ("pipeline", "components.journal.open", JournalError("no journal"), ExitCode.INCOMPLETE),
    ("pipeline", "_lifecycle._connect", SourceError("no sources"), ExitCode.NO_SOURCE),
    ("pipeline", "_lifecycle._connect", ConfigurationError("no authority"), ExitCode.USAGE),
    ("pipeline", "components.database_monitor._tick", DatabaseError("no role", "28000"), ExitCode.DATABASE),
    ("worker", "components.broker.open", BrokerError("no broker"), ExitCode.DATABASE),
    ("worker", "components.database_monitor._tick", DatabaseError("no role", "28000"), ExitCode.DATABASE),
]
"""The program's errors during the start, and the exit code of each."""
DESCENT = (ShutdownLevel.DRAIN, ShutdownLevel.SPOOL, ShutdownLevel.KILL)


@pytest.fixture
def begin(
    valkey: ValkeyServer, demo_market: DemoMarket, database_url: str, request: pytest.FixtureRequest
) -> Iterator[Begin]:
    """Creates runs with all parts of the program with a screen; those that a test does not end are killed."""
    made: list[Run] = []
    folder = public_folder()

    def make(kind: str, **settings: Any) -> Run:
        given: dict[str, Any] = {
            "database": database_url,
            "symbols": "AAPL,MSFT",
            "interval": 0.2,
            "proxy": demo_market.proxy_url,
            "ca_file": demo_market.ca_file,
            "data_dir": folder / "data",
            "requests_per_second": 100.0,
        }
        if kind != "pipeline":
            given |= {"broker": valkey.url, "cluster_name": folder.name.replace(".", "-")}
        chosen = Settings(**(given | settings))
        paths = Paths.of(chosen)
        paths.prepare()
        if kind == "pipeline":
            made.append(Pipeline(chosen, paths))
        else:
            made.append(ClusterNode(chosen, paths, {} if kind == "top" else None))
        return made[-1]

    yield make
    for run in made:
        run.stop(ShutdownLevel.KILL)
        run.join(30)
    shutil.rmtree(folder, ignore_errors=True)


def at_work(run: Run, kind: str) -> Run:
    """The run once it is started and stores rows."""
    run.start()

    def works(seen: Snapshot) -> bool:
        if kind == "top":
            return seen.phase is Phase.RUNNING and seen.database.health is Health.OK
        return seen.ledger.stored > 0

    wait_for(lambda: works(run.snapshot()), f"the {kind} at work")
    return run


def part_of(run: Run, path: str) -> Any:
    """The object at this path of attributes and keys."""
    return functools.reduce(
        lambda owner, name: owner[name] if isinstance(owner, dict) else getattr(owner, name),
        path.split("."),
        run,
    )


class Breaker:
    """Replaces methods by failing ones: after their work, or instead of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.called: list[str] = []

    def __call__(self, run: Run, path: str, failure: BaseException | None = None) -> None:
        way, _, name = path.rpartition(".")
        owner = type(part_of(run, way))
        works = getattr(owner, name)

        def fails(*args: Any, **options: Any) -> None:
            works(*args, **options)
            self.called.append(path)
            raise failure or RuntimeError(f"injected into {path}")

        self._monkeypatch.setattr(owner, name, fails)

    def start(self, run: Run, path: str, failure: BaseException | None = None) -> None:
        """Let one call of the start fail without any effect, for this object only."""

        def fails(*_: Any, **__: Any) -> None:
            self.called.append(path)
            raise failure or RuntimeError(f"injected into {path}")

        way, _, name = path.rpartition(".")
        self._monkeypatch.setattr(part_of(run, way), name, fails)

    def has_failed(self, run: Run, step: str) -> RunReport:
        """Wait for the end of a run, which fails because of the broken step; returns its report."""
        assert run.join(IN_TIME)
        report = run.outcome()
        assert self.called == [step]
        assert f"injected into {step}" in report.failure
        assert (report.outcome, exit_code(report)) == ("failed", ExitCode.INCOMPLETE)
        assert run.snapshot().phase is Phase.FAILED
        return report


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Breaker:
    return Breaker(monkeypatch)


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def leftovers(threads: set[threading.Thread], processes: set[psutil.Process]) -> list[object]:
    """Running threads and processes that did not exist before."""
    return [*(set(threading.enumerate()) - threads), *(children() - processes)]


class TestStarting:
    @pytest.mark.parametrize(("kind", "step"), EACH_START_STEP)
    def test_a_start_step_that_fails_closes_what_was_started(
        self, begin: Begin, broken: Breaker, kind: str, step: str
    ) -> None:
        # given a run with a part that cannot be started
        threads, processes = set(threading.enumerate()), children()
        run = begin(kind)
        broken.start(run, step)

        # when it is started
        run.start()

        # then it ends in time and by itself, reports the failure and leaves no process and no thread
        broken.has_failed(run, step)
        wait_for(lambda: not leftovers(threads, processes), "the end of its threads and processes")

    @pytest.mark.parametrize(("kind", "step", "error", "code"), START_ERRORS)
    def test_the_exit_code_names_the_kind_of_failure(
        self, begin: Begin, broken: Breaker, kind: str, step: str, error: Sp500tuiError, code: ExitCode
    ) -> None:
        threads, processes = set(threading.enumerate()), children()
        run = begin(kind)
        broken.start(run, step, error)
        run.start()
        assert run.join(IN_TIME)
        report = run.outcome()
        assert report.failure == str(error)
        assert exit_code(report) is code
        wait_for(lambda: not leftovers(threads, processes), "the end of its threads and processes")


class TestClosing:
    @pytest.mark.parametrize(("kind", "step"), EACH_STEP)
    def test_a_closing_step_that_fails_prevents_no_other(
        self, begin: Begin, broken: Breaker, kind: str, step: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        # given a run at work, and one of its closing steps broken
        before = children()
        run = at_work(begin(kind), kind)
        broken(run, step)

        # when it is stopped
        run.stop(ShutdownLevel.DRAIN)

        # then it ends in time, reports what failed and leaves none of its processes and threads
        report = broken.has_failed(run, step)
        assert any(record.exc_info and "injected" in str(record.exc_info[1]) for record in caplog.records)
        wait_for(lambda: children() <= before, "the end of the children")
        assert (report.ledger.in_flight, report.ledger.spooled) == (0, 0)
        # Items queued on a broker wait there for the other nodes.
        assert kind == "worker" or report.ledger.queued == 0

    @pytest.mark.parametrize("kind", rest_thorough(STEPS))
    @pytest.mark.parametrize("last", rest_thorough(DESCENT))
    def test_with_every_step_broken_a_run_ends_at_each_step_of_the_ladder(
        self, begin: Begin, broken: Breaker, kind: str, last: ShutdownLevel
    ) -> None:
        run = at_work(begin(kind), kind)
        for path in STEPS[kind]:
            broken(run, path)
        for step in DESCENT[:last]:
            run.stop(step)
        assert run.join(IN_TIME)
        report = run.outcome()
        assert report.outcome == "failed"
        assert exit_code(report) is ExitCode.INCOMPLETE

    @pytest.mark.parametrize("kind", rest_thorough(STEPS))
    def test_a_closing_step_that_hangs_is_abandoned(
        self, begin: Begin, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        # given a database that is never closed
        run = at_work(begin(kind), kind)
        release = threading.Event()
        monkeypatch.setattr(lifecycle, "CLOSING_LIMIT", 0.5)
        monkeypatch.setattr(type(run.components.database_monitor), "close", lambda _: release.wait())

        # when the run is stopped, then it ends, and reports it
        run.stop(ShutdownLevel.DRAIN)
        assert run.join(IN_TIME)
        release.set()
        assert run.outcome().failure == "the database could not be closed: no end after 0.5 s"

    def test_a_kill_waits_for_no_closing_step(self, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
        run = at_work(begin("pipeline"), "pipeline")
        closing, release = threading.Event(), threading.Event()

        def hang(_: object) -> None:
            closing.set()
            release.wait()

        monkeypatch.setattr(type(run.components.database_monitor), "close", hang)
        run.stop(ShutdownLevel.DRAIN)
        assert closing.wait(IN_TIME)
        run.stop(ShutdownLevel.KILL)
        assert run.join(IN_TIME / 2)
        release.set()

    @pytest.mark.parametrize("error", rest_thorough([KeyboardInterrupt(), SystemExit(0), MemoryError()]))
    def test_exceptions_other_than_errors_skip_no_step(
        self, begin: Begin, broken: Breaker, error: BaseException
    ) -> None:
        run = at_work(begin("top"), "top")
        broken(run, "components.feed.close", error)
        run.stop(ShutdownLevel.DRAIN)
        assert run.join(IN_TIME)
        assert run.outcome().failure == (
            f"the price feed could not be closed: {type(error).__name__}: {error}"
        )
        assert run.snapshot().phase is Phase.FAILED

    def test_stopping_and_joining_again_does_nothing(self, begin: Begin) -> None:
        run = at_work(begin("pipeline"), "pipeline")
        run.stop(ShutdownLevel.DRAIN)
        assert run.join(IN_TIME)
        for step in DESCENT:
            run.stop(step)
        assert run.join(0)
        assert exit_code(run.outcome()) is ExitCode.OK

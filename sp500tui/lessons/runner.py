"""Runs a lesson on a running demo, or on its own demo."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sp500tui.config.paths import Paths, ensure_folder
from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError, ExitCode, Sp500tuiError
from sp500tui.lessons.bench import LIMIT, Bench, LocalMarket
from sp500tui.lessons.lesson import Lesson, LessonError, Needs, Outcome
from sp500tui.pipeline.api import PipelineControl, ShutdownLevel
from sp500tui.pipeline.core.snapshot import Phase, Snapshot
from sp500tui.storage.embedded.lock import FileLock

_MIN_SYMBOLS = 300
"""Number of symbols below which a cycle has too few requests to show an effect."""
_MARKET_SPEED = 60.0
"""Speed of the trading day: most quotes of a cycle are new rows."""
_FOLDER = "lesson-"
"""Prefix of the names of the temporary folders."""
_LOCK = "lesson.lock"
"""Held while the folder is in use."""
_STOP_LIMIT = 10.0
"""Seconds for which a lesson's own pipeline may drain before it is killed."""

_running = threading.Lock()
"""Held while a lesson runs in this program."""


class DemoFailedError(Sp500tuiError):
    """The demo for a lesson did not start; the exit code is that of its failure."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = code


def run_lesson(lesson: Lesson, bench: Bench) -> Outcome:
    """Run the experiment; whatever it changed is restored, even when it fails or is cancelled.

    Raises:
        LessonError: the experiment could not be run, or was cancelled.
        Sp500tuiError: the demo market or the database failed.
    """
    with _one_at_a_time(bench), bench.quiet_pipeline():
        return Outcome(lesson, lesson.measure(bench))


@contextmanager
def _one_at_a_time(bench: Bench) -> Iterator[None]:
    """Wait until a cancelled lesson has restored everything: the next one would mistake its changes for the settings.

    Raises:
        Cancelled: see `Bench.sleep`.
    """
    while not _running.acquire(timeout=0.05):
        bench.report("waiting until the previous lesson has set everything back")
        bench.sleep(0.0)
    try:
        yield
    finally:
        _running.release()


def obstacle(pipeline: PipelineControl | None, snapshot: Snapshot, lesson: Lesson) -> str:
    """Why a lesson cannot be run on this pipeline, in one line with the remedy; empty if it can."""
    if snapshot.nodes or snapshot.broker:
        return (
            "Lessons change the pipeline and need a demo of their own, not a cluster: start sp500tui --demo"
        )
    if not snapshot.demo:
        return "Lessons change the pipeline and need the demo market: start sp500tui --demo"
    if pipeline is None or snapshot.phase is Phase.STARTING or pipeline.demo_market is None:
        return "The demo is still starting"
    if not isinstance(pipeline.demo_market, LocalMarket):
        return (
            "Lessons measure inside the program that runs the pipeline: open this screen there, or run "
            f"sp500tui learn {lesson.name}"
        )
    if snapshot.phase not in (Phase.RUNNING, Phase.PAUSED):
        return f"The pipeline is {snapshot.phase}"
    # The list has more symbols than a cycle if the settings name some.
    symbols = snapshot.cycle.total or snapshot.constituents.count
    if lesson.needs is Needs.PIPELINE and symbols < _MIN_SYMBOLS:
        make = "1 symbol makes" if symbols == 1 else f"{symbols} symbols make"
        return f"{make} too few requests for this lesson: start the demo without --symbols"
    return ""


@contextmanager
def own_bench(
    lesson: Lesson,
    settings: Settings,
    *,
    report: Callable[[str], None],
) -> Iterator[Bench]:
    """A bench with what the lesson needs; its demo uses a temporary folder, which is removed afterwards.

    Raises:
        Sp500tuiError: the demo did not start.
    """
    if lesson.needs is Needs.PROCESSOR:
        yield Bench(report=report)
        return
    with _temporary_data(settings) as paths:
        if lesson.needs is Needs.DATABASE:
            from sp500tui.storage.database import Database

            report("starting a database")
            with Database.open(settings.database, paths.data) as database:
                yield Bench(database_url=database.url, report=report)
            return
        report("starting a demo")
        with _database_of_its_own(settings.database) as url, _demo(url, settings, paths) as pipeline:
            bench = Bench(pipeline=pipeline, report=report)
            _await_running(bench)
            yield bench


@contextmanager
def _temporary_data(settings: Settings) -> Iterator[Paths]:
    """The paths of a run in a folder below the data folder, on the disk that a real run would use."""
    paths = Paths.of(settings)
    public = 0o711 if os.geteuid() == 0 else 0o700
    ensure_folder(paths.base, "data folder", "name another with --data-dir DIR", public)
    _remove_left_over(paths.base)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=paths.base))
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire_exclusive(1.0)
        folder.chmod(public)
        own = Paths.of(settings.model_copy(update={"data_dir": folder}))
        own.prepare()
        yield own
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _remove_left_over(base: Path) -> None:
    """Remove the folders of lessons that were killed."""
    for lock_file in base.glob(f"{_FOLDER}*/{_LOCK}"):
        lock = FileLock(lock_file)
        with suppress(ConfigurationError):
            if lock.try_acquire_exclusive():
                shutil.rmtree(lock_file.parent, ignore_errors=True)
        lock.release()


@contextmanager
def _database_of_its_own(server: str | None) -> Iterator[str | None]:
    """A new database on a server given by URL; None for the embedded one, whose folder is temporary."""
    if server is None:
        yield None
        return
    with Bench(database_url=server).database() as url:
        yield url


@contextmanager
def _demo(database: str | None, settings: Settings, paths: Paths) -> Iterator[PipelineControl]:
    """A running demo with the default settings, apart from its database and currency."""
    from sp500tui.pipeline.runtime.pipeline import Pipeline

    own = Settings(
        demo=True,
        no_ui=True,
        database=database,
        currency=settings.currency,
        market_seed=settings.market_seed,
        market_speed=max(settings.market_speed, _MARKET_SPEED),
    )
    pipeline = Pipeline(own, paths)
    pipeline.start()
    try:
        yield pipeline
    finally:
        pipeline.stop(ShutdownLevel.DRAIN)
        if not pipeline.join(_STOP_LIMIT):
            pipeline.stop(ShutdownLevel.KILL)
            pipeline.join(_STOP_LIMIT)


def _await_running(bench: Bench) -> None:
    """Wait until the first cycle is complete: every worker has started and every connection is open.

    Raises:
        DemoFailedError: the pipeline failed.
    """

    def ready(seen: Snapshot) -> bool:
        if seen.phase is Phase.FAILED or seen.failure:
            raise DemoFailedError(f"the demo did not start: {seen.failure}", seen.failure_code)
        return seen.phase is Phase.RUNNING and seen.cycle.number >= 1 and seen.ledger.stored > 0

    try:
        bench.wait_until(ready, "first cycle of the demo", 2 * LIMIT)
    except LessonError as error:
        failed = bench.pipeline.snapshot()
        if failed.failure:
            raise DemoFailedError(f"the demo did not start: {failed.failure}", failed.failure_code) from error
        raise

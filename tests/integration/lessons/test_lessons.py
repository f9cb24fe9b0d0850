"""Every lesson on a real demo: it shows its effect, and everything it changed is reset."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sp500tui.config.paths import Paths
from sp500tui.config.settings import SCREEN_DEMO, Settings
from sp500tui.lessons.bench import Bench, Cancelled
from sp500tui.lessons.catalog import LESSONS, lesson_named
from sp500tui.lessons.lesson import Lesson, LessonError, Needs
from sp500tui.lessons.runner import obstacle, run_lesson
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.pipeline.runtime.pipeline import Pipeline
from sp500tui.storage.embedded.server import EmbeddedServer
from tests.faults.rig.program import wait_for
from tests.support.postgres.server import public_folder

SLOW = {"back-pressure", "batch", "connections", "killed-consumer", "littles-law", "overlap", "retry-storm"}
"""Lessons of three seconds and more."""
NEEDS_FREE_PROCESSORS = {"computing", "lab"}
"""Lessons that compare ways to use two processors, which the other tests occupy."""


def markers(lesson: Lesson) -> list[pytest.MarkDecorator]:
    if lesson.name in NEEDS_FREE_PROCESSORS:
        return [pytest.mark.soak]
    return [pytest.mark.thorough] if lesson.name in SLOW else []


@pytest.fixture(scope="module")
def demo(embedded_server: EmbeddedServer) -> Iterator[Pipeline]:
    """A demo that runs during all lessons, with the settings of the dashboard's demo."""
    folder = public_folder()
    with Bench(database_url=embedded_server.url).database() as url:
        settings = Settings.model_validate(
            {"demo": True, "no_ui": True, "database": url, "data_dir": folder / "data", **SCREEN_DEMO}
        )
        paths = Paths.of(settings)
        paths.prepare()
        pipeline = Pipeline(settings, paths)
        pipeline.start()
        wait_for(lambda: pipeline.snapshot().ledger.stored, "the first rows", 60)
        yield pipeline
        pipeline.stop(ShutdownLevel.DRAIN)
        assert pipeline.join(60)
    shutil.rmtree(folder)


def settings_of(pipeline: Pipeline) -> object:
    seen, market = pipeline.snapshot(), pipeline.demo_market
    assert market is not None
    stages = [(stage.name, stage.size, stage.paused) for stage in seen.stages]
    return seen.cycle.interval, seen.phase, stages, market.faults()


def databases(server: EmbeddedServer) -> set[str]:
    with psycopg.connect(server.url) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "lesson",
    [pytest.param(lesson, id=lesson.name, marks=markers(lesson)) for lesson in LESSONS],
)
def test_a_lesson_shows_its_effect_and_resets_everything(
    lesson: Lesson, demo: Pipeline, embedded_server: EmbeddedServer
) -> None:
    # given settings that a user chose
    market = demo.demo_market
    assert market is not None
    market.set_faults(missing_symbol=0.01)
    demo.scale(StageName.PRICE, 5)
    demo.set_interval(3.0)
    before, there = settings_of(demo), databases(embedded_server)
    assert not obstacle(demo, demo.snapshot(), lesson)

    outcome = run_lesson(lesson, Bench(pipeline=demo))

    assert outcome.effect_seen, outcome.measured
    assert list(outcome.measured) == [figure.name for figure in lesson.figures]
    assert settings_of(demo) == before
    assert databases(embedded_server) == there


@pytest.mark.slow
def test_a_cancelled_lesson_resets_everything(demo: Pipeline) -> None:
    # given a lesson that changes workers and faults, on a paused pipeline
    demo.pause()
    before = settings_of(demo)
    cancel = threading.Event()
    errors: list[LessonError] = []

    def run() -> None:
        try:
            run_lesson(lesson_named("overlap"), Bench(pipeline=demo, cancel=cancel))
        except LessonError as error:
            errors.append(error)

    lesson = threading.Thread(target=run)
    lesson.start()
    wait_for(lambda: demo.snapshot().stage(StageName.PRICE).size == 1, "the change of the workers", 30)
    # when it is cancelled
    cancel.set()
    lesson.join(30)
    # then it ends at once, with the settings as before
    assert isinstance(errors[0], Cancelled)
    assert settings_of(demo) == before
    assert demo.snapshot().phase is Phase.PAUSED
    demo.resume()


@pytest.fixture
def data_folder() -> Iterator[Path]:
    folder = public_folder()
    yield folder
    shutil.rmtree(folder)


def started(data_folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sp500tui", "learn", *arguments, "--data-dir", str(data_folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "XDG_STATE_HOME": str(data_folder / "state")},
    )


def left_in(data_folder: Path) -> list[str]:
    return [path.name for path in data_folder.iterdir() if path.name.startswith("lesson-")]


@pytest.mark.slow
def test_the_command_prints_the_result_as_json(data_folder: Path) -> None:
    assert lesson_named("ordering").needs is Needs.DATABASE
    program = started(data_folder, "ordering", "--no-ui", "--json")
    out, errors = program.communicate(timeout=60)
    assert program.returncode == 0, errors
    result = json.loads(out)
    assert list(result) == ["lesson", "question", "measured", "effect_seen"]
    assert (result["lesson"], result["effect_seen"]) == ("ordering", True)
    assert (result["measured"]["rows_sent"], result["measured"]["rows_stored"]) == (2000, 1000)
    assert left_in(data_folder) == []


@pytest.mark.thorough
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_lesson_and_removes_its_demo(
    data_folder: Path, number: signal.Signals, code: int
) -> None:
    program = started(data_folder, "overlap", "--no-ui", "--json")
    assert program.stderr is not None
    assert any("with 1 price worker" in line for line in iter(program.stderr.readline, ""))
    program.send_signal(number)
    out, _ = program.communicate(timeout=60)
    assert (program.returncode, out) == (code, "")
    assert left_in(data_folder) == []

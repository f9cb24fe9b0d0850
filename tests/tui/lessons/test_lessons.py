"""The screen of the lessons: predicting, progress, results, stopping, and the obstacles to a lesson."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sp500tui.errors import SourceError
from sp500tui.lessons.bench import Bench
from sp500tui.lessons.catalog import LESSONS
from sp500tui.lessons.lesson import Lesson, Measured, Outcome
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.snapshot import CycleSnapshot, Phase
from sp500tui.tui.lessons import screen as screen_module
from sp500tui.tui.lessons.screen import LessonsScreen
from tests.support.parameters import rest_thorough, sizes
from tests.support.tui.canned_market import CannedMarket
from tests.support.tui.fake_pipeline import FakePipeline, running
from tests.tui.conftest import Drive, Driven, notes

FAST: Measured = {
    "requests": 11,
    "latency_milliseconds": 500.0,
    "one_worker_seconds": 5.9,
    "twelve_workers_seconds": 0.6,
    "speedup": 9.8,
}


class Experiment:
    """Replaces the run of a lesson: waits until it may end, or until it is stopped."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.may_end.set()
        self.began: list[str] = []
        self.stopped = 0
        self.result: Measured | Exception = FAST

    def __call__(self, lesson: Lesson, bench: Bench) -> Outcome:
        self.began.append(lesson.name)
        bench.report("one cycle with 1 price worker")
        try:
            while not self.may_end.is_set():
                bench.sleep(0.01)
        except BaseException:
            self.stopped += 1
            raise
        if isinstance(self.result, Exception):
            raise self.result
        return Outcome(lesson, self.result)


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch) -> Experiment:
    stand_in = Experiment()
    monkeypatch.setattr(screen_module, "run_lesson", stand_in)
    return stand_in


def demo() -> FakePipeline:
    quiet = replace(
        running(), cycle=CycleSnapshot(42, 503, 503, False, 1.2, 7.0, 0, 15.0), ledger=Ledger(9, 9)
    )
    fake = FakePipeline(quiet)
    fake.demo_market = CannedMarket()
    return fake


@asynccontextmanager
async def opened(
    drive: Drive, fake: FakePipeline | None = None, **more: Any
) -> AsyncIterator[tuple[Driven, LessonsScreen]]:
    async with drive(fake or demo(), **{"size": (120, 40), **more}) as driven:
        await driven.press("8")
        screen = driven.app.screen
        assert isinstance(screen, LessonsScreen)
        await driven.until(lambda: LESSONS[0].title in driven.text(), "the lessons")
        yield driven, screen


def shows(driven: Driven, *texts: str) -> Callable[[], bool]:
    """Whether the list and the marked lesson, without line breaks, contain these texts."""

    def condition() -> bool:
        screen = driven.app.screen
        assert isinstance(screen, LessonsScreen)
        lines = [*screen.lessons.rows_shown(), *screen.text.lines_shown()]
        shown = " ".join(" ".join(lines).split())
        return all(text in shown for text in texts)

    return condition


def visible(driven: Driven, text: str) -> Callable[[], bool]:
    return lambda: text in driven.text()


async def test_a_lesson_shows_its_question(drive: Drive, experiment: Experiment) -> None:
    async with opened(drive) as (driven, _):
        await driven.until(shows(driven, "How much faster is a cycle", "a not at all", "c several times"))
        await driven.press("down")
        await driven.until(shows(driven, "Two batches of rows", "Press the key of your answer"))
        assert experiment.began == []


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("a", "You predicted: not at all"),
        ("c", "Your prediction is right: several times as fast."),
        ("enter", "a cycle with 12 price workers"),
    ],
)
async def test_a_prediction_runs_the_lesson_and_is_compared_with_the_result(
    drive: Drive, experiment: Experiment, key: str, text: str
) -> None:
    async with opened(drive) as (driven, _):
        await driven.press(key)
        await driven.until(shows(driven, text, "0.60 s", "Shown by this measurement", "✓ Waiting overlaps"))
        assert shows(driven, "fetcher.py · FetchTask.run_once")()
        assert experiment.began == ["overlap"]


async def test_a_missing_effect_is_reported(drive: Drive, experiment: Experiment) -> None:
    experiment.result = {**FAST, "twelve_workers_seconds": 5.0}
    async with opened(drive) as (driven, _):
        await driven.press("enter")
        await driven.until(shows(driven, "Not shown by this measurement", "! Waiting overlaps"))


async def test_a_failure_is_shown_and_the_lesson_can_be_run_again(
    drive: Drive, experiment: Experiment
) -> None:
    experiment.result = SourceError("the demo market does not answer; start it again")
    async with opened(drive) as (driven, _):
        await driven.press("b")
        await driven.until(shows(driven, "the demo market does not answer", "to run it again"))
        experiment.result = FAST
        await driven.press("c")
        await driven.until(shows(driven, "Your prediction is right"))


async def test_progress_is_shown_and_x_stops_the_lesson(drive: Drive, experiment: Experiment) -> None:
    experiment.may_end.clear()
    async with opened(drive) as (driven, _):
        await driven.press("a")
        await driven.until(shows(driven, "▶ one cycle with 1 price worker", "x stops it"))
        # a second lesson has to wait
        await driven.press("down", "a")
        await driven.until(lambda: "still running" in notes(driven.app), "the warning")
        await driven.until(shows(driven, "Wait until “Waiting overlaps” has ended."))
        await driven.press("up", "x")
        await driven.until(shows(driven, "the lesson was stopped; everything it had changed was set back"))
        assert (experiment.began, experiment.stopped) == (["overlap"], 1)


async def test_a_low_window_shows_the_progress_and_the_list_the_state_in_a_word(
    drive: Drive, experiment: Experiment
) -> None:
    experiment.may_end.clear()
    async with opened(drive, size=(60, 16)) as (driven, screen):
        assert "a b c answer" in driven.text()
        await driven.press("a")
        await driven.until(visible(driven, "x stops it"), "the end of the text")
        assert screen.lessons.rows_shown()[0].split()[-1] == "running"
        experiment.may_end.set()
        await driven.until(lambda: screen.lessons.rows_shown()[0].split()[-1] == "shown")
        await driven.until(visible(driven, f"1 of {len(LESSONS)} measured"))


async def test_the_key_that_stops_is_offered_while_a_lesson_is_running(
    drive: Drive, experiment: Experiment
) -> None:
    experiment.may_end.clear()
    async with opened(drive) as (driven, _):
        assert "x stop" not in driven.text()
        await driven.press("a")
        await driven.until(visible(driven, "x stop "), "the key")
        experiment.may_end.set()
        await driven.until(lambda: "x stop" not in driven.text(), "the end")


async def test_the_keys_are_named_as_configured(drive: Drive, experiment: Experiment) -> None:
    experiment.may_end.clear()
    keymap = {"lessons.answer_a": "f2", "lessons.stop": "f9", "list.choose": "ctrl+k"}
    async with opened(drive, keymap=keymap) as (driven, _):
        await driven.until(shows(driven, "f2 not at all", "or ^k to run it without one"))
        await driven.press("f2")
        await driven.until(shows(driven, "f9 stops it"))
        await driven.press("down", "f2")
        await driven.until(lambda: "f9 stops it" in notes(driven.app), "the warning")
        experiment.may_end.set()


async def test_leaving_the_screen_stops_the_lesson(drive: Drive, experiment: Experiment) -> None:
    experiment.may_end.clear()
    async with opened(drive) as (driven, _):
        await driven.press("a")
        await driven.until(lambda: experiment.began)
        await driven.press("escape")
        await driven.until(lambda: experiment.stopped == 1)


@pytest.mark.parametrize(
    ("change", "text"),
    rest_thorough(
        [
            ({"demo": False}, "need the demo market: start sp500tui --demo"),
            ({"broker": "redis://host"}, "not a cluster"),
            ({"phase": Phase.STARTING}, "The demo is still starting"),
        ]
    ),
)
async def test_an_obstacle_is_shown_and_nothing_is_run(
    drive: Drive, experiment: Experiment, change: dict[str, Any], text: str
) -> None:
    fake = demo()
    fake.now_shows = replace(fake.now_shows, **change)
    async with opened(drive, fake) as (driven, _):
        await driven.until(shows(driven, text))
        await driven.press("a")
        await driven.until(lambda: text in notes(driven.app), "the warning")
        assert experiment.began == []


async def test_the_live_market_opens_the_screen_and_shows_what_is_missing(
    drive: Drive, experiment: Experiment
) -> None:
    fake = FakePipeline(replace(running(), demo=False))
    async with opened(drive, fake, demo=False) as (driven, _):
        await driven.until(shows(driven, "need the demo market"))


@pytest.mark.thorough
async def test_titles_and_functions_are_not_cut_in_100_columns(drive: Drive, experiment: Experiment) -> None:
    async with opened(drive, size=(100, 30)) as (driven, screen):
        await driven.press("c")
        await driven.until(shows(driven, "Your prediction is right", "FetchTask.run_once"))
        assert [line for line in screen.lessons.rows_shown() if "…" in line] == []


@pytest.mark.parametrize("size", sizes((60, 16), (80, 24), keep=1))
async def test_a_small_window_scrolls_the_result(
    drive: Drive, experiment: Experiment, size: tuple[int, int]
) -> None:
    async with opened(drive, size=size) as (driven, screen):
        await driven.press("c")
        await driven.until(shows(driven, "Your prediction is right"))
        # nothing is hidden by the scrollbar
        assert [line for line in screen.text.lines_shown() if "…" in line] == []
        for _ in range(5):
            await driven.press("d")
        await driven.until(visible(driven, "Measured: "), "the last paragraph")
        for _ in range(5):
            await driven.press("u")
        await driven.until(visible(driven, "Your prediction is right"))
        assert screen.scroll.scroll_y == 0

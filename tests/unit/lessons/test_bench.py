"""The bench: every setting is restored, waits can be cancelled, and the obstacles to a lesson are named."""

from __future__ import annotations

import logging
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sp500tui.config.settings import Settings
from sp500tui.lessons.bench import Bench, Cancelled
from sp500tui.lessons.catalog import lesson_named
from sp500tui.lessons.lesson import Figure, Lesson, LessonError, Needs, Source
from sp500tui.lessons.runner import obstacle, own_bench, run_lesson
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import (
    ConstituentsSnapshot,
    CycleSnapshot,
    Health,
    NodeSnapshot,
    Phase,
    Snapshot,
)
from sp500tui.storage.database import Database
from sp500tui.storage.embedded.lock import FileLock
from tests.support.tui.canned_market import CannedMarket
from tests.support.tui.fake_pipeline import FakePipeline, running


def idle() -> Snapshot:
    """A running demo between two cycles."""
    return replace(
        running(), cycle=CycleSnapshot(42, 503, 503, False, 1.2, 7.0, 0, 15.0), ledger=Ledger(9, 9)
    )


@pytest.fixture
def pipeline() -> FakePipeline:
    fake = FakePipeline(idle())
    fake.demo_market = CannedMarket(latency=0.5, drop=0.1)
    return fake


def settings_of(pipeline: FakePipeline) -> tuple[object, ...]:
    seen = pipeline.snapshot()
    assert pipeline.demo_market is not None
    stages = [(stage.name, stage.size, stage.paused) for stage in seen.stages]
    return seen.cycle.interval, seen.phase, stages, pipeline.demo_market.faults()


def change_everything(bench: Bench) -> None:
    pipeline = bench.pipeline
    assert pipeline.snapshot().cycle.interval > 15
    assert bench.market.faults()["latency"] == 0
    assert not any(stage.paused for stage in pipeline.snapshot().stages)
    bench.market.set_faults(server_error=1.0)
    for stage in pipeline.snapshot().stages:
        pipeline.scale(stage.name, 30)
    pipeline.set_interval(0.2)


class TestRestoration:
    @pytest.mark.parametrize(
        "error", [None, LessonError("x"), Cancelled("x"), KeyboardInterrupt(), OSError("x")]
    )
    def test_every_setting_is_restored_however_the_lesson_ends(
        self, pipeline: FakePipeline, error: BaseException | None
    ) -> None:
        pipeline.pause(StageName.CONVERTER)
        before = settings_of(pipeline)
        bench = Bench(pipeline=pipeline)

        def run() -> None:
            with bench.quiet_pipeline():
                change_everything(bench)
                if error is not None:
                    raise error

        if error is None:
            run()
        else:
            with pytest.raises(type(error)):
                run()
        assert settings_of(pipeline) == before

    def test_a_paused_pipeline_is_paused_again(self, pipeline: FakePipeline) -> None:
        pipeline.pause()
        with Bench(pipeline=pipeline).quiet_pipeline():
            assert pipeline.snapshot().phase is Phase.RUNNING
        assert pipeline.snapshot().phase is Phase.PAUSED

    def test_a_stage_that_was_paused_in_a_paused_pipeline_is_paused_again(
        self, pipeline: FakePipeline
    ) -> None:
        pipeline.pause(StageName.WRITER)
        pipeline.pause()
        with Bench(pipeline=pipeline).quiet_pipeline():
            assert not pipeline.snapshot().stage(StageName.WRITER).paused
        assert pipeline.snapshot().phase is Phase.PAUSED
        assert pipeline.snapshot().stage(StageName.WRITER).paused

    def test_an_unavailable_market_does_not_prevent_the_rest_from_being_restored(
        self, pipeline: FakePipeline, caplog: pytest.LogCaptureFixture
    ) -> None:
        market = pipeline.demo_market
        assert isinstance(market, CannedMarket)
        with caplog.at_level(logging.WARNING), Bench(pipeline=pipeline).quiet_pipeline():
            pipeline.scale(StageName.PRICE, 30)
            market.away = True
        assert pipeline.snapshot().stage(StageName.PRICE).size == 8
        assert pipeline.snapshot().cycle.interval == 15
        assert "the lesson could not restore the faults" in caplog.text


class TestWaits:
    def test_a_cancelled_lesson_ends_at_its_next_wait(self, pipeline: FakePipeline) -> None:
        cancel = threading.Event()
        bench = Bench(pipeline=pipeline, cancel=cancel)
        cancel.set()
        with pytest.raises(Cancelled, match="set back"):
            bench.wait_until(lambda _: False, "end")

    @pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.STOPPED, Phase.FAILED])
    def test_a_pipeline_that_stops_ends_the_lesson(self, pipeline: FakePipeline, phase: Phase) -> None:
        pipeline.now_shows = replace(idle(), phase=phase)
        with pytest.raises(Cancelled, match=f"the pipeline is {phase}"):
            Bench(pipeline=pipeline).wait_until(lambda _: False, "end")

    def test_a_condition_that_is_never_met_is_an_error(self, pipeline: FakePipeline) -> None:
        with pytest.raises(LessonError, match="no end of the world within 0 s"):
            Bench(pipeline=pipeline).wait_until(lambda _: False, "end of the world", limit=0.0)

    def test_an_experiment_without_a_pipeline_reports_it(self) -> None:
        with pytest.raises(LessonError, match="needs a running pipeline"):
            _ = Bench().pipeline
        with pytest.raises(LessonError, match="not open yet"), Bench().database():
            pass


def own_lesson() -> Lesson:
    return Lesson(
        name="own",
        title="Own",
        question="?",
        answers=("a", "b"),
        correct=0,
        change="c",
        claim="c",
        why="w",
        source=(Source("errors.py", "ExitCode"),),
        figures=(Figure("workers", "workers"),),
        measure=lambda bench: {"workers": bench.pipeline.snapshot().stage(StageName.PRICE).size},
        effect=lambda measured: measured["workers"] == 8,
    )


def test_a_lesson_runs_on_a_quiet_pipeline(pipeline: FakePipeline) -> None:
    assert run_lesson(own_lesson(), Bench(pipeline=pipeline)).effect_seen


def test_the_folder_of_a_lesson_that_was_killed_is_removed_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given the folder of a lesson that was killed, that of one that runs, and another folder
    for name in ("lesson-killed", "lesson-running", "lessons"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lesson.lock").touch()
    running_one = FileLock(tmp_path / "lesson-running" / "lesson.lock")
    assert running_one.try_acquire_exclusive()
    monkeypatch.setattr(Database, "open", lambda *_: nullcontext(SimpleNamespace(url="postgresql://x/")))
    lesson = lesson_named("batch")
    settings = Settings(data_dir=tmp_path, demo=True, database="postgresql://x/")
    # when a lesson runs
    with own_bench(lesson, settings, report=lambda _: None):
        assert len(list(tmp_path.glob("lesson-*"))) == 2
    # then it removes the folder of the first one, and its own
    assert {each.name for each in tmp_path.iterdir()} == {"lesson-running", "lessons"}
    running_one.release()


def test_a_lesson_begins_when_the_one_before_has_set_everything_back(pipeline: FakePipeline) -> None:
    # given a cancelled lesson that has changed everything and has not ended
    before = settings_of(pipeline)
    changed, may_end, waits = threading.Event(), threading.Event(), threading.Event()

    def linger(bench: Bench) -> dict[str, float | str | None]:
        change_everything(bench)
        changed.set()
        assert may_end.wait(60)
        return {}

    first = threading.Thread(
        target=run_lesson, args=(replace(own_lesson(), measure=linger), Bench(pipeline=pipeline))
    )
    first.start()
    assert changed.wait(60)
    # when another one is stopped while it waits for that, and one more is run
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(Cancelled):
        run_lesson(own_lesson(), Bench(pipeline=pipeline, cancel=stopped))
    outcomes: list[bool] = []
    second = threading.Thread(
        target=lambda: outcomes.append(
            run_lesson(own_lesson(), Bench(pipeline=pipeline, report=lambda _: waits.set())).effect_seen
        )
    )
    second.start()
    assert waits.wait(60)
    may_end.set()
    first.join(60)
    second.join(60)
    # then it starts with the settings from before the first one, and these are restored at the end
    assert outcomes == [True]
    assert settings_of(pipeline) == before


class TestObstacle:
    def test_a_running_demo_has_none(self, pipeline: FakePipeline) -> None:
        assert not obstacle(pipeline, idle(), lesson_named("overlap"))
        assert not obstacle(pipeline, replace(idle(), phase=Phase.PAUSED), lesson_named("overlap"))

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"demo": False}, "need the demo market: start sp500tui --demo"),
            ({"broker": "redis://host"}, "not a cluster"),
            ({"nodes": (NodeSnapshot("a", "a", "1", Health.OK),)}, "not a cluster"),
            ({"phase": Phase.STARTING}, "still starting"),
            ({"phase": Phase.DRAINING}, "The pipeline is draining"),
            ({"cycle": CycleSnapshot(42, 1, 1)}, "1 symbol makes too few"),
            (
                {"cycle": CycleSnapshot(), "constituents": ConstituentsSnapshot(count=2)},
                "2 symbols make too few",
            ),
        ],
    )
    def test_the_obstacle_is_named(
        self, pipeline: FakePipeline, change: dict[str, object], text: str
    ) -> None:
        seen = replace(idle(), **change)  # type: ignore[arg-type]
        assert text in obstacle(pipeline, seen, lesson_named("overlap"))

    def test_few_symbols_are_enough_for_lessons_without_the_pipeline(self, pipeline: FakePipeline) -> None:
        few = replace(idle(), cycle=CycleSnapshot(42, 2, 2))
        lesson = lesson_named("batch")
        assert lesson.needs is Needs.DATABASE
        assert not obstacle(pipeline, few, lesson)

    def test_a_demo_that_is_not_open_yet_is_starting(self) -> None:
        assert obstacle(None, idle(), lesson_named("overlap")) == "The demo is still starting"

    def test_a_demo_in_another_program_is_not_affected(self, pipeline: FakePipeline) -> None:
        class RemoteMarket:
            def faults(self) -> dict[str, object]:
                return {}

            def set_faults(self, **faults: object) -> None:
                raise AssertionError

            statistics = faults

        pipeline.demo_market = RemoteMarket()
        assert "inside the program that runs the pipeline" in obstacle(
            pipeline, idle(), lesson_named("overlap")
        )

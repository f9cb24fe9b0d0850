"""A replay has the same state as the pipeline in every second."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.remote.recording.playback import Playback
from sp500tui.remote.recording.reader import Recording
from tests.support.remote.recorded import (
    FACTS,
    START,
    FakeLife,
    recorded,
    recording,
    replayed,
)
from tests.support.tui.fake_pipeline import NOON, listed
from tests.support.waiting import FakeClock


class TestReplay:
    def test_every_second_is_as_it_was(self) -> None:
        # given a run of twelve minutes, which is more than one chunk
        blocks, snapshots = recorded(720)
        assert sum(block.begins_chunk for block, _ in blocks) == 2
        shown = replayed(Recording.of_blocks(FACTS, blocks))
        # when any second is shown, in any order, then the state is that of the run
        for second in (0, 719, 300, 1, 599, 600, 601, 42, 718):
            shown.playback.seek(START + second + 1)
            assert shown.snapshot() == snapshots[second]
            assert shown.now == NOON + timedelta(seconds=second + 1)

    def test_prices_log_and_events_are_those_of_the_moment(self) -> None:
        def notes(life: FakeLife) -> None:
            if life.second == 20:
                life.event(EventKind.THROTTLED, "429", 30)
            if life.second % 10 == 0:
                life.line(f"line {life.second}")

        shown = replayed(recording(60, notes))
        shown.playback.seek(START + 14)
        assert shown.prices_since(0) == (0, [])
        assert [line.message for line in shown.since(0)[1]] == ["line 10"]
        shown.playback.seek(START + 31)
        version, prices = shown.prices_since(0)
        assert version == 9
        assert [price.row.quote.price for price in prices] == [
            Decimal("102.01"),
            Decimal("102.02"),
            Decimal("102.03"),
        ]
        assert shown.price_of("BRK.B") == prices[1]
        assert [line.message for line in shown.since(0)[1]] == ["line 10", "line 20", "line 30"]
        assert [event.message for event in shown.events_since(0)[1]] == [
            "cycle 1 finished",
            "429",
            "cycle 2 finished",
        ]
        assert [sample.second for sample in shown.seconds_since(28)[1]] == [29, 30, 31]
        assert list(shown.constituents()) == listed()

    def test_the_beginning_of_a_later_chunk_includes_what_was_before(self) -> None:
        shown = replayed(recording(720, lambda life: life.line(f"line {life.second}")))
        shown.playback.seek(START + 602)
        assert len(shown.prices_since(0)[1]) == 3
        assert [line.message for line in shown.since(0)[1]][-2:] == ["line 601", "line 602"]
        assert len(shown.since(0)[1]) == 301
        assert list(shown.constituents()) == listed()
        assert len(shown.seconds_since(0)[1]) >= 60

    def test_text_that_cannot_be_encoded_is_replaced(self) -> None:
        def notes(life: FakeLife) -> None:
            life.line(f"second {life.second} \udcff")

        shown = replayed(recording(12, notes))
        shown.playback.seek(START + 12)
        assert shown.snapshot().uptime == 12.0
        assert [line.message for line in shown.since(0)[1]] == [f"second {n} ?" for n in range(1, 13)]

    def test_another_time_is_announced_and_the_next_moment_is_not(self) -> None:
        shown = replayed(recording(60))
        for at, generation in ((30, 0), (31, 0), (40, 1), (5, 2), (5, 2), (6, 2), (59, 3)):
            shown.playback.seek(START + at)
            shown.snapshot()
            assert shown.generation == generation, at

    def test_the_events_of_the_moment_shown_are_delivered(self) -> None:
        def notes(life: FakeLife) -> None:
            if life.second in (20, 30, 40):
                life.event(EventKind.THROTTLED, f"429 at {life.second}", 30)

        shown = replayed(recording(60, notes))
        heard: list[str] = []
        shown.subscribe(lambda event: heard.append(event.message))
        for at in (10, 40, 20):
            shown.playback.seek(START + at)
            shown.snapshot()
        assert heard == ["429 at 40", "429 at 20"]

    def test_events_are_delivered_as_time_passes(self) -> None:
        clock = FakeClock()
        shown = replayed(recording(60), clock)
        heard: list[str] = []
        shown.subscribe(lambda event: heard.append(event.message))
        shown.playback.play()
        clock.now += 31
        shown.snapshot()
        assert heard == ["cycle 1 finished", "cycle 2 finished"]

    def test_it_refuses_every_command(self) -> None:
        shown = replayed(recording(5))
        commands: list[Callable[[], object]] = [
            lambda: shown.scale(StageName.PRICE, 3),
            lambda: shown.scale_node("a", StageName.PRICE, 3),
            shown.pause,
            shown.resume,
            shown.run_cycle_now,
            lambda: shown.set_interval(3),
            lambda: shown.stop(ShutdownLevel.KILL),
            lambda: shown.kill_worker("writer-1"),
            lambda: shown.stop_database(1),
            lambda: shown.database_url,
        ]
        for command in commands:
            with pytest.raises(Sp500tuiError, match="recording"):
                command()
        assert shown.demo_market is None


class TestJumps:
    @pytest.fixture(scope="class")
    def run(self) -> Recording:
        def notes(life: FakeLife) -> None:
            if life.second in (100, 650):
                life.event(EventKind.THROTTLED, "429", 30)
            if life.second == 400:
                life.event(EventKind.DATABASE_DOWN, "no answer", 40)
            if life.second == 500:
                life.line("a failure", 40)

        return recording(720, notes)

    @pytest.mark.parametrize(
        ("at", "direction", "event", "error"),
        [
            (1, 1, 100, 400),
            (100, 1, 400, 400),
            (400, 1, 650, 500),
            (500, 1, 650, None),
            (650, 1, None, None),
            (720, -1, 650, 500),
            (650, -1, 400, 500),
            (400, -1, 100, None),
            (100, -1, None, None),
        ],
    )
    def test_to_the_next_event_or_error(
        self, run: Recording, at: int, direction: int, event: int | None, error: int | None
    ) -> None:
        def expected(second: int | None) -> float | None:
            return None if second is None else START + second

        assert run.next_event(START + at, direction) == expected(event)
        assert run.next_error(START + at, direction) == expected(error)

    def test_single_steps(self, run: Recording) -> None:
        assert run.step(START + 10, 1) == START + 11
        assert run.step(START + 10.5, -1) == START + 10
        assert run.step(START + 600, 1) == START + 601
        assert run.step(START + 1, -1) == START + 1
        assert run.step(START + 720, 1) == START + 720

    def test_marks_show_where_something_happened(self, run: Recording) -> None:
        marks = run.marks(72)
        assert [cell for cell, (event, _) in enumerate(marks) if event] == [9, 39, 64]
        assert [cell for cell, (_, error) in enumerate(marks) if error] == [39, 49]


class TestPlayback:
    def test_time_runs_at_its_speed_and_stops_at_the_end(self) -> None:
        clock = FakeClock()
        playback = Playback(100.0, 200.0, speed=2.0, clock=clock)
        playback.play()
        clock.now += 10
        assert playback.at == 120.0
        assert playback.change_speed(1) == 5.0
        clock.now += 2
        assert playback.at == 130.0
        playback.pause()
        clock.now += 100
        assert playback.at == 130.0
        playback.seek(1_000)
        assert playback.at == 200.0
        playback.seek(195)
        playback.play()
        clock.now += 10
        assert playback.at == 200.0
        assert not playback.playing
        playback.play()
        assert playback.at == 100.0

    def test_speeds_have_ends(self) -> None:
        playback = Playback(0.0, 1.0)
        assert [playback.change_speed(1) for _ in range(9)][-1] == 300.0
        assert [playback.change_speed(-1) for _ in range(12)][-1] == 0.25


def test_the_timeline_of_a_recording_has_the_states_of_every_second() -> None:
    # given a replay at its last second
    past = recording(30)
    pipeline = replayed(past)
    pipeline.playback.seek(past.last)
    # when its spans are read
    report = pipeline.spans(10.0)
    # then they are the shares of the last seconds, with the order within a second marked as unknown
    assert report.by_second
    (worker,) = report.workers
    assert worker.name == "price-1"
    assert sum(span.end - span.start for span in worker.spans) == pytest.approx(10.0)
    waited = sum(span.end - span.start for span in worker.spans if span.state is WorkerState.SOURCE)
    assert waited == pytest.approx(7.5)

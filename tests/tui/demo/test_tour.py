"""The tour: its schedule, its announcements, and that everything is reset however it ends."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Phase
from sp500tui.tui.demo.tour import Tour, first_round, later_round
from tests.support.tui.canned_market import CannedMarket
from tests.support.tui.fake_pipeline import FakePipeline, running
from tests.tui.conftest import Drive

ROUND = 190.0
"""Seconds of the first round and of the pause after it."""


class Rehearsal:
    """A tour on a simulated clock, which is stopped at a given second."""

    def __init__(self, stop_at: float, seed: int = 1, market: CannedMarket | None = None) -> None:
        self.now = 0.0
        self.stop_at = stop_at
        self.market = market or CannedMarket()
        self.pipeline = FakePipeline(running())
        self.before = self.market.now
        self.said: list[tuple[float, str]] = []
        self.faults: list[tuple[float, Any]] = []
        self.at_each_wait: Callable[[], None] = lambda: None
        self.pipeline.listeners.append(lambda event: self.said.append((round(self.now, 1), event.message)))
        self.tour = Tour(
            self.pipeline,
            self.market,
            seed=seed,
            clock=lambda: self.now,
            wait=self.wait,
        )

    def wait(self, seconds: float) -> bool:
        self.at_each_wait()
        if not self.faults or self.faults[-1][1] != self.market.now:
            self.faults.append((round(self.now, 1), self.market.now))
        self.now = min(self.now + seconds, self.stop_at)
        return self.now >= self.stop_at

    def texts(self) -> list[str]:
        return [text for _, text in self.said]

    def run(self) -> Rehearsal:
        self.tour.run()
        return self


def test_the_first_round_breaks_each_part_in_turn() -> None:
    rehearsal = Rehearsal(ROUND - 30).run()

    assert [(at, text.removeprefix("tour: ")) for at, text in rehearsal.said[1:-1]] == [
        (20, "a cycle every 0.5 s for 6 s"),
        (26, "the interval is as before"),
        (40, "Yahoo answers 500 ms later for 12 s"),
        (46, "6 price workers added"),
        (52, "Yahoo answers as before"),
        (58, "the 6 price workers removed"),
        (65, "writer-1 killed while it committed"),
        (85, "the database is stopped for 10 s"),
        (110, "Yahoo answers 10 % of the requests with 429 for 10 s"),
        (120, "no more 429; the request limit rises"),
        (130, "faults over: 21,126 fetched, adds up ✓; 3 injects faults"),
    ]
    assert all(text.startswith("tour: ") for text in rehearsal.texts())
    # and each announcement fits the border of the pipeline in a window of 80 columns
    assert max(len(f"pipeline · {text}") for text in rehearsal.texts()) <= 76
    price = rehearsal.pipeline.now_shows.stage(StageName.PRICE).size
    assert [call for call in rehearsal.pipeline.calls if call[0] != "start"] == [
        ("set_interval", 0.5),
        ("set_interval", 15.0),
        ("scale", StageName.PRICE, 14),
        ("scale", StageName.PRICE, 8),
        ("kill_worker", "writer-1"),
        ("stop_database", 10.0),
        ("set_interval", 15.0),
        ("scale", StageName.PRICE, 8),
    ]
    assert price == 8


@pytest.mark.parametrize("stop_at", [0.0, 5, 20, 23, 41, 47, 53, 65, 90, 111, 125, 131, 200, 215, 400])
def test_everything_is_reset_wherever_it_is_stopped(stop_at: float) -> None:
    # GIVEN a market with a fault that was on before
    rehearsal = Rehearsal(stop_at, market=CannedMarket(stale=0.5))

    # WHEN the tour is stopped
    rehearsal.run()

    # THEN everything is as before, and this is announced
    assert rehearsal.market.now == rehearsal.before
    assert rehearsal.pipeline.now_shows.stage(StageName.PRICE).size == 8
    assert [call for call in rehearsal.pipeline.calls if call[0] == "set_interval"][-1] == (
        "set_interval",
        15.0,
    )
    assert rehearsal.texts()[-1] == "tour: over: faults, interval and workers are as before"


def test_faults_that_were_on_before_stay_on_during_the_tour() -> None:
    rehearsal = Rehearsal(130, market=CannedMarket(stale=0.5)).run()

    assert all(faults.stale == 0.5 for _, faults in rehearsal.faults)
    assert {faults.latency for _, faults in rehearsal.faults} == {0.0, 0.5}
    assert {faults.throttle for _, faults in rehearsal.faults} == {0.0, 0.1}


def test_later_rounds_follow_the_seed_and_repeat_no_fault_within_a_round() -> None:
    def titles(seed: int) -> list[str]:
        return [step.text for step in later_round(random.Random(seed)) if " for 10 s" in step.text]

    assert titles(1) == titles(1)
    assert len({tuple(titles(seed)) for seed in range(20)}) > 10
    assert all(len(set(titles(seed))) == 4 for seed in range(20))
    assert Rehearsal(600, seed=3).run().said == Rehearsal(600, seed=3).run().said


def test_rounds_continue_after_a_calm_minute() -> None:
    rehearsal = Rehearsal(600).run()

    over = [at for at, text in rehearsal.said if "faults over" in text]
    assert over[:2] == [130, ROUND + 80]
    assert not [at for at, _ in rehearsal.said if 130 < at < ROUND]


def test_a_market_that_does_not_answer_ends_it_in_one_line() -> None:
    rehearsal = Rehearsal(600)
    rehearsal.market.away = True

    rehearsal.run()

    assert "does not answer" in rehearsal.texts()[0]
    assert ("scale", StageName.PRICE, 8) in rehearsal.pipeline.calls


def test_a_pipeline_that_drains_ends_it() -> None:
    rehearsal = Rehearsal(600)

    def drain_later() -> None:
        if rehearsal.now > 30:
            rehearsal.pipeline.now_shows = replace(running(), phase=Phase.DRAINING)

    rehearsal.at_each_wait = drain_later
    rehearsal.run()

    assert rehearsal.now < 60


def test_a_wrong_sum_is_shown_as_wrong() -> None:
    rehearsal = Rehearsal(600)
    rehearsal.pipeline.now_shows = replace(running(), ledger=Ledger(fetched=10, stored=9))

    assert "does not add up ✗" in rehearsal.tour.summary()


def test_without_writers_none_is_killed() -> None:
    rehearsal = Rehearsal(600)
    rehearsal.pipeline.now_shows = replace(running(), workers=())

    assert rehearsal.tour.kill_writer() == "no writer to kill"


def test_steps_are_in_the_order_of_time() -> None:
    times = [step.at for step in first_round()]

    assert times == sorted(times)


async def test_a_key_starts_it_and_any_key_stops_it_and_nothing_else(drive: Drive) -> None:
    fake = FakePipeline()
    fake.demo_market = CannedMarket()
    async with drive(fake) as driven:
        await driven.press("ctrl+t")
        await driven.until(lambda: any(event.kind is EventKind.TOUR for event in driven.app.events))
        assert fake.events_since(0)[1][0].kind is EventKind.TOUR, "viewers and recordings have it too"
        assert "tour: two minutes of faults" in driven.said
        await driven.pilot.resize_terminal(80, 24)
        assert driven.app.tour.is_running

        await driven.press("p")

        await driven.until(lambda: not driven.app.tour.is_running, "the end of the tour")
        assert ("pause", None) not in fake.calls
        assert driven.app.events[-1].message == "tour: over: faults, interval and workers are as before"


@pytest.mark.parametrize(("keymap", "key"), [({}, "q"), ({"quit": "f10, Z"}, "Z")])
async def test_quitting_ends_it_too(drive: Drive, keymap: dict[str, str], key: str) -> None:
    fake = FakePipeline()
    fake.demo_market = CannedMarket()
    async with drive(fake, keymap=keymap) as driven:
        await driven.press("ctrl+t", key)

        await driven.until(lambda: not driven.app.tour.is_running, "the end of the tour")
        assert ("stop", 1) in fake.calls


@pytest.mark.parametrize("tour", [False, True])
async def test_it_starts_by_itself_only_on_request(drive: Drive, tour: bool) -> None:
    fake = FakePipeline()
    fake.demo_market = CannedMarket()
    async with drive(fake, tour=tour) as driven:
        assert driven.app.tour.is_running is tour
        await driven.press("x")
        await driven.until(lambda: not driven.app.tour.is_running)


@pytest.mark.parametrize(
    ("demo", "words"), [(False, "start sp500tui --demo --tour"), (True, "there is none yet")]
)
async def test_without_a_demo_market_one_line_gives_the_reason(drive: Drive, demo: bool, words: str) -> None:
    async with drive(demo=demo) as driven:
        driven.app.action_start_tour()
        await driven.pilot.pause()

        assert words in driven.said
        assert not driven.app.tour.is_running

"""The demo clock: real timestamps, compressed sessions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.model import MarketState
from sp500tui.simulator.market.clock import DAY, OPENING, TRADING, DemoClock

NOON = 1_764_000_000.0
HOUR = 3600
CYCLE = [
    MarketState.REGULAR,
    MarketState.POST,
    MarketState.POSTPOST,
    MarketState.CLOSED,
    MarketState.PREPRE,
    MarketState.PRE,
]
speeds = st.floats(0.01, 100_000)
moments = st.floats(0, 10_000_000)


class SettableTime:
    """A wall clock that the test sets."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_the_day_starts_just_after_the_opening_in_real_time() -> None:
    # given a clock started now
    time = SettableTime()
    clock = DemoClock(now=time)

    # then its market has been open for a minute, and seconds are stamped with the real time
    assert clock.state(clock.elapsed()) is MarketState.REGULAR
    assert clock.elapsed() == pytest.approx(60)
    assert clock.stamp(60) == int(NOON)


def test_the_sessions_follow_each_other_around_the_clock() -> None:
    # given a clock whose day passes in 864 s
    clock = DemoClock(speed=100, now=SettableTime())

    # when two days pass
    states = [clock.state(second) for second in range(1728)]

    # then all sessions follow in order
    changes = [state for at, state in enumerate(states) if at == 0 or states[at - 1] is not state]
    assert changes[:12] == CYCLE + CYCLE


def test_time_never_goes_back_when_the_system_clock_does() -> None:
    # given a clock that counted to 100
    time = SettableTime()
    clock = DemoClock(start_at=OPENING, now=time)
    time.now += 100
    assert clock.elapsed() == pytest.approx(100)

    # when the system's clock is set back by an hour
    time.now -= HOUR

    # then it stands still
    assert clock.elapsed() == pytest.approx(100)


def test_a_start_in_the_evening_is_after_the_opening() -> None:
    # given a start at 17:00 in a day at real speed
    clock = DemoClock(start_at=17 * HOUR, now=SettableTime())

    # then the market is in its late session and opened seven and a half hours ago
    assert clock.state(clock.elapsed()) is MarketState.POST
    assert clock.periods(clock.elapsed()).regular[0] == int(NOON) - 7.5 * HOUR


@pytest.mark.parametrize(
    ("start_at", "following", "after"),
    [
        (10 * HOUR, MarketState.POST, 6 * HOUR),
        (17 * HOUR, MarketState.POSTPOST, 3 * HOUR),
        (21 * HOUR, MarketState.CLOSED, HOUR),
        (23 * HOUR, MarketState.PREPRE, 3 * HOUR),
        (HOUR, MarketState.PREPRE, HOUR),
        (3 * HOUR, MarketState.PRE, HOUR),
        (9 * HOUR, MarketState.REGULAR, HOUR / 2),
    ],
)
def test_the_next_change_is_in_real_time(start_at: float, following: MarketState, after: float) -> None:
    clock = DemoClock(speed=2, start_at=start_at, now=SettableTime())
    state, stamp = clock.next_change(clock.elapsed())
    assert state is following
    assert stamp == pytest.approx(NOON + after / 2, abs=1)


@given(speeds, moments)
def test_trading_continues_within_a_second_of_the_next_trading_second(speed: float, moment: float) -> None:
    clock = DemoClock(speed=speed, now=SettableTime())
    second = int(moment)
    found = clock.next_trading(second)
    assert found >= second
    assert clock.state(found) in TRADING
    for before in range(max(second, found - 50), found - 1):
        assert clock.state(before) not in TRADING


@given(speeds, moments)
def test_periods_are_in_order_and_their_length_follows_from_the_speed(speed: float, moment: float) -> None:
    clock = DemoClock(speed=speed, now=SettableTime())
    periods = clock.periods(moment)
    edges = [*periods.pre, *periods.regular, *periods.post]
    assert edges == sorted(edges)
    assert periods.post[1] - periods.pre[0] == pytest.approx(16 * HOUR / speed, abs=1)


@given(st.floats(0.01, 5_000), st.floats(0, 1_000_000))
def test_the_state_agrees_with_the_periods(speed: float, moment: float) -> None:
    # given any moment at a speed at which a session has whole seconds
    clock = DemoClock(speed=speed, now=SettableTime())
    start, end = clock.periods(moment).regular

    # then the market is open exactly between the two, apart from rounding to a second
    real = clock.epoch + moment
    if start + 1 < real < end - 1:
        assert clock.state(moment) is MarketState.REGULAR
    elif real < start - 1 or real > end + 1:
        assert clock.state(moment) is not MarketState.REGULAR


def test_days_count_openings() -> None:
    clock = DemoClock(speed=DAY, now=SettableTime())
    assert [clock.day(elapsed) for elapsed in (0, 0.99, 1, 2.5)] == [0, 0, 1, 2]

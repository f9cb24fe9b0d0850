"""The throttle: one token bucket and one circuit breaker for all threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sp500tui.errors import ThrottledError
from sp500tui.sources.throttle import CircuitState, Throttle


@dataclass
class FakeClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def throttle(clock: Callable[[], float], rate: float = 4.0, burst: int = 4, jitter: float = 1.0) -> Throttle:
    return Throttle(rate, burst=burst, clock=clock, jitter=lambda: jitter)


def refused(gate: Throttle, timeout: float = 0.0) -> ThrottledError:
    with pytest.raises(ThrottledError) as caught:
        gate.acquire(timeout)
    return caught.value


def on_another_thread(action: Callable[[], None]) -> BaseException | None:
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except ThrottledError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    return outcome[0] if outcome else None


def test_a_burst_goes_out_at_once_and_then_the_rate_holds(clock: FakeClock) -> None:
    gate = throttle(clock)
    for _ in range(4):
        gate.acquire(0)
    assert refused(gate).retry_after == pytest.approx(0.25)
    clock.now += 0.25
    gate.acquire(0)
    assert refused(gate).retry_after == pytest.approx(0.25)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.floats(0, 0.5), min_size=1, max_size=120),
    rate=st.floats(0.5, 50),
    burst=st.integers(1, 9),
)
def test_never_more_requests_than_burst_and_rate_allow(steps: list[float], rate: float, burst: int) -> None:
    clock = FakeClock()
    gate = throttle(clock, rate, burst)
    start, passed = clock.now, 0
    for step in steps:
        clock.now += step
        for _ in range(3):
            try:
                gate.acquire(0)
            except ThrottledError:
                break
            passed += 1
        assert passed <= burst + rate * (clock.now - start) + 1e-6
    assert gate.state().requests == passed


def test_a_background_request_waits_until_the_bucket_is_full(clock: FakeClock) -> None:
    # given prices that use half of the burst
    gate = throttle(clock)
    for _ in range(2):
        gate.acquire(0)

    # then a background request has to wait, but one for prices does not
    with gate.background():
        assert "use the whole rate" in str(refused(gate))
    gate.acquire(0)

    # when the bucket is full again, it may be sent, and nearly the whole burst remains for the prices
    clock.now += 0.75
    with gate.background():
        gate.acquire(0)
        refused(gate)
    for _ in range(3):
        gate.acquire(0)


def test_background_requests_alone_have_the_whole_rate() -> None:
    gate = throttle(time.monotonic, rate=100.0)
    started = time.monotonic()
    with gate.background():
        for _ in range(21):
            gate.acquire()
    assert time.monotonic() - started >= 0.19


def test_waits_for_its_turn_and_keeps_the_order_of_tokens() -> None:
    gate = Throttle(50, burst=1)
    started = time.monotonic()
    for _ in range(4):
        gate.acquire(1)
    assert time.monotonic() - started >= 0.055


def test_a_wait_longer_than_the_timeout_is_refused_at_once_and_costs_no_token(clock: FakeClock) -> None:
    gate = throttle(clock, rate=1.0, burst=1)
    gate.acquire(0)
    for _ in range(20):
        assert refused(gate, 0.5).retry_after == pytest.approx(1.0)
    clock.now += 1.0
    gate.acquire(0)


def test_a_cancelled_wait_ends_and_gives_its_token_back() -> None:
    gate = Throttle(0.1, burst=1)
    gate.acquire(0)
    leaving = threading.Event()
    leaving.set()
    error = on_another_thread(lambda: gate.acquire(30, leaving.is_set))
    assert isinstance(error, ThrottledError)
    assert refused(gate).retry_after == pytest.approx(10, abs=1)


def test_a_429_halves_the_rate_opens_the_circuit_and_names_the_next_attempt(clock: FakeClock) -> None:
    gate = throttle(clock)
    gate.acquire(0)
    gate.throttled(None)
    state = gate.state()
    assert (state.circuit, state.rate, state.limit, state.retry_in) == (CircuitState.OPEN, 2.0, 4.0, 4.0)
    assert (state.requests, state.failed, state.throttled) == (1, 0, 1)
    assert state.message == "Yahoo Finance limits the request rate (429)"
    error = refused(gate, 30)
    assert error.retry_after == 4.0
    assert str(error) == "Yahoo Finance limits the request rate (429); next attempt in 4 s"


@pytest.mark.parametrize(("retry_after", "retry_in"), [(None, 4.0), (1.0, 4.0), (90.0, 90.0)])
def test_the_longer_of_retry_after_and_back_off_counts(
    clock: FakeClock, retry_after: float | None, retry_in: float
) -> None:
    gate = throttle(clock)
    gate.throttled(retry_after)
    assert gate.state().retry_in == retry_in


def test_answers_to_requests_from_before_the_opening_are_one_episode(clock: FakeClock) -> None:
    gate = throttle(clock)
    gate.throttled(None)
    for _ in range(7):
        gate.throttled(None)
        gate.failed("late")
        gate.succeeded()
    state = gate.state()
    assert (state.circuit, state.rate, state.retry_in) == (CircuitState.OPEN, 2.0, 4.0)
    gate.throttled(30.0)
    assert gate.state().retry_in == 30.0


def test_one_thread_probes_while_the_others_are_refused(clock: FakeClock) -> None:
    gate = throttle(clock)
    gate.throttled(None)
    clock.now += 4
    assert gate.state().circuit is CircuitState.HALF_OPEN
    gate.acquire(0)
    gate.acquire(0)  # cookie, crumb and quote are requests of one probe
    error = on_another_thread(gate.acquire)
    assert isinstance(error, ThrottledError)
    assert 0 < error.retry_after < 1
    on_another_thread(gate.succeeded)
    assert gate.state().circuit is CircuitState.HALF_OPEN
    gate.succeeded()
    assert gate.state().circuit is CircuitState.CLOSED
    assert gate.state().message == ""


def test_a_failed_probe_opens_for_longer(clock: FakeClock) -> None:
    gate = throttle(clock)
    waits = []
    for _ in range(6):
        gate.acquire(0)
        gate.throttled(None)
        waits.append(gate.state().retry_in)
        clock.now += waits[-1] or 0
    assert waits == [4, 8, 16, 32, 60, 60]
    assert gate.state().rate == 0.25


def test_a_probe_without_an_outcome_is_replaced(clock: FakeClock) -> None:
    gate = throttle(clock)
    gate.throttled(None)
    clock.now += 4
    on_another_thread(lambda: gate.acquire(0))
    refused(gate)
    clock.now += 60
    gate.acquire(0)
    gate.succeeded()
    assert gate.state().circuit is CircuitState.CLOSED


def test_recovery_is_gradual(clock: FakeClock) -> None:
    gate = throttle(clock)
    gate.acquire(0)
    gate.throttled(None)
    clock.now += 4
    rates = []
    for _ in range(12):
        gate.acquire(0)
        gate.succeeded()
        rates.append(round(gate.state().rate, 6))
        clock.now += 5
    assert rates == [2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 3.8, 4.0, 4.0, 4.0]


def test_after_an_opening_nothing_goes_out_in_a_burst(clock: FakeClock) -> None:
    gate = throttle(clock, burst=16)
    gate.throttled(None)
    clock.now += 4
    gate.acquire(0)
    gate.succeeded()
    assert refused(gate).retry_after > 0.3


def test_one_success_does_not_reset_the_back_off(clock: FakeClock) -> None:
    gate = throttle(clock)
    for _ in range(4):
        gate.acquire(0)
        gate.throttled(None)
        clock.now += gate.state().retry_in or 0
    gate.acquire(0)
    gate.succeeded()
    gate.throttled(None)
    assert gate.state().retry_in == 32


def test_some_failures_are_tolerated_then_the_circuit_opens_with_their_reason(clock: FakeClock) -> None:
    gate = throttle(clock)
    gate.failed("no answer")
    gate.failed("no answer")
    gate.succeeded()
    gate.failed("no answer")
    gate.failed("no answer")
    assert gate.state().circuit is CircuitState.CLOSED
    gate.failed("Yahoo Finance answered 503")
    state = gate.state()
    assert (state.circuit, state.retry_in, state.failed, state.rate) == (CircuitState.OPEN, 1.0, 5, 4.0)
    assert state.message == "Yahoo Finance answered 503"
    assert str(refused(gate)) == "Yahoo Finance answered 503; next attempt in 1 s"
    clock.now += 1
    gate.acquire(0)
    gate.failed("Yahoo Finance answered 503")
    assert gate.state().retry_in == 2.0


def test_the_state_has_the_age_of_the_last_success(clock: FakeClock) -> None:
    gate = throttle(clock)
    assert gate.state().last_success_age is None
    gate.succeeded()
    clock.now += 7
    assert gate.state().last_success_age == 7


def test_an_opening_wakes_waiting_threads() -> None:
    gate = Throttle(0.1, burst=1, jitter=lambda: 1.0)
    gate.acquire(0)
    caught: list[ThrottledError] = []

    def wait() -> None:
        try:
            gate.acquire(30)
        except ThrottledError as error:
            caught.append(error)

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while refused(gate).retry_after < 25 and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    gate.throttled(None)
    for thread in threads:
        thread.join(30)
    assert [0 < error.retry_after <= 4 for error in caught] == [True, True]


@settings(max_examples=80, deadline=None)
@given(
    jitters=st.lists(st.floats(0, 1, exclude_min=True), min_size=30, max_size=30),
    requests_a_probe=st.integers(1, 2),
    latency=st.floats(0.0, 2.0),
)
def test_a_minute_of_429_admits_ten_requests_after_its_first_five_seconds(
    jitters: list[float], requests_a_probe: int, latency: float
) -> None:
    clock = FakeClock(0.0)
    drawn = iter(jitters * 10)
    gate = Throttle(100, burst=16, clock=clock, jitter=lambda: next(drawn))
    late = 0
    while clock.now < 60:
        try:
            for _ in range(requests_a_probe):
                gate.acquire(0)
                late += clock.now > 5
            clock.now += latency
            gate.throttled(None)
        except ThrottledError as error:
            clock.now += max(error.retry_after, 0.01)
    assert late <= 10


def test_many_threads_share_one_bucket() -> None:
    gate = Throttle(200, burst=10)
    started = time.monotonic()

    def work() -> None:
        for _ in range(10):
            gate.acquire(10)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert gate.state().requests == 60
    assert time.monotonic() - started >= 49 / 200

"""What is asked twice within a few seconds is confirmed."""

from __future__ import annotations

from sp500tui.tui.shell.confirmation import WITHIN, Confirmation


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_second_request_in_time_confirms_and_the_third_asks_again() -> None:
    confirmation = Confirmation(Clock())
    assert [confirmation.given("kill") for _ in range(4)] == [False, True, False, True]


def test_a_late_second_request_and_another_act_ask_again() -> None:
    clock = Clock()
    confirmation = Confirmation(clock)
    assert not confirmation.given("kill")
    clock.now = WITHIN + 0.1
    assert not confirmation.given("kill")
    assert not confirmation.given("stop")
    assert not confirmation.given("kill")
    assert confirmation.given("kill")

"""The faults offered: the demo market accepts every strength, and switching one keeps the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.simulator.faults import Faults
from sp500tui.tui.demo.faults import (
    FAULTS,
    OFF,
    FaultOption,
    active,
    adjusted,
    strength_of,
    toggled,
    with_strength,
)
from sp500tui.tui.demo.render import control_lines, entries, event_lines, explanation_lines, writer_to_kill
from sp500tui.tui.render.lines import Line, Role, width_of
from tests.support.tui.fake_pipeline import NOON, degraded, running, worker

NONE = Faults().as_json()
CHOICES = pytest.mark.parametrize("choice", FAULTS, ids=lambda choice: choice.title)


def text(lines: Sequence[Line]) -> str:
    return "\n".join("".join(span.text for span in line) for line in lines)


def titled(title: str) -> FaultOption:
    return next(choice for choice in FAULTS if choice.title == title)


class TestChoices:
    @CHOICES
    def test_every_strength_is_taken_by_the_market_and_read_back(self, choice: FaultOption) -> None:
        for index in range(len(choice.strengths)):
            faults = Faults.parse(with_strength(choice, index, NONE)).as_json()
            assert strength_of(choice, faults) == index
            assert list(active(faults)) == ([choice] if index else [])

    @CHOICES
    def test_every_counter_of_an_option_is_a_fault_of_the_market(self, choice: FaultOption) -> None:
        assert choice.counter == "" or choice.counter in NONE

    def test_everything_the_screen_promises_is_on_offer(self) -> None:
        offered = {name for choice in FAULTS for strength in choice.strengths for name in strength.values}
        assert offered >= {
            *(
                "latency",
                "throttle",
                "retry_after",
                "server_error",
                "drop",
                "garbage",
                "truncated_body",
                "slow_body",
            ),
            *("nan_price", "missing_symbol", "stale", "wikipedia", "fx", "html"),
        }

    def test_the_two_429s_exclude_each_other(self) -> None:
        plain, named = titled("429 too many requests"), titled("429 with Retry-After")
        faults = with_strength(named, 2, with_strength(plain, 1, NONE))
        assert strength_of(plain, faults) == OFF
        assert strength_of(named, faults) == 2

    def test_a_strength_that_is_not_on_the_list_is_on_all_the_same(self) -> None:
        odd = {**NONE, "drop": 0.37}
        assert strength_of(titled("dropped connections"), odd) is None
        assert [choice.title for choice in active(odd)] == ["dropped connections"]
        assert toggled(titled("dropped connections"), odd)["drop"] == 0.0

    @CHOICES
    def test_switching_twice_restores_the_faults(self, choice: FaultOption) -> None:
        once = toggled(choice, NONE)
        assert strength_of(choice, once) != OFF
        assert strength_of(choice, toggled(choice, once)) == OFF

    @given(st.lists(st.tuples(st.integers(0, len(FAULTS) - 1), st.integers(-1, 1)), max_size=40))
    def test_any_sequence_of_steps_is_accepted_and_stays_within_the_scale(
        self, steps: list[tuple[int, int]]
    ) -> None:
        faults: dict[str, object] = dict(NONE)
        for index, direction in steps:
            faults = adjusted(FAULTS[index], direction, faults)
            Faults.parse(faults)
            assert strength_of(FAULTS[index], faults) in range(len(FAULTS[index].strengths))


class TestLines:
    @pytest.mark.parametrize("width", [20, 43, 54, 80])
    def test_lines_fit_and_show_states_as_text(self, width: int) -> None:
        faults = with_strength(titled("stale quotes"), 1, NONE)
        lines = control_lines(faults, width)
        assert {width_of(line) for line in lines} == {width}
        assert len(lines) == len(entries())
        if width > 42:
            assert "● stale quotes" in text(lines)
            assert "10 % of quotes" in text(lines)
            assert text(lines).count(" off") == len(FAULTS) - 1

    def test_before_the_first_answer_the_states_are_unknown(self) -> None:
        assert text(control_lines(None, 60)).count("unknown") == len(FAULTS)

    def test_other_values_are_a_custom_strength(self) -> None:
        assert "custom" in text(control_lines({**NONE, "drop": 0.37}, 60))

    @pytest.mark.parametrize(("width", "height"), [(34, 9), (34, 20), (58, 16), (120, 30)])
    def test_explanations_fit(self, width: int, height: int) -> None:
        for entry in entries():
            lines = explanation_lines(entry, {"throttle": 3}, width, height)
            assert len(lines) <= height
            assert {width_of(line) for line in lines} == {width}

    def test_an_explanation_without_room_ends_with_a_mark(self) -> None:
        whole = text(explanation_lines(entries()[0], None, 15, 40))
        for height in range(1, 30):
            lines = explanation_lines(entries()[0], None, 15, height)
            assert {width_of(line) for line in lines} == {15}
            complete = entries()[0].watch in " ".join(text(lines).split())
            assert complete or text(lines).rstrip().endswith("…")
            assert set(text(lines).split()) - {"…"} <= set(whole.split()), "no word is divided"
        assert "…" not in whole

    def test_what_to_watch_for_is_complete_on_a_small_screen(self) -> None:
        for entry in entries():
            words = " ".join(text(explanation_lines(entry, None, 35, 10)).split())
            assert entry.watch in words

    @pytest.mark.parametrize("width", range(26, 60, 3))
    def test_a_strength_is_never_divided_between_two_lines(self, width: int) -> None:
        for choice in FAULTS:
            shown = text(explanation_lines(choice, None, width, 40))
            for digit, strength in enumerate(choice.strengths):
                assert f"{digit}: {strength.label}" in shown

    def test_the_number_of_injected_faults(self) -> None:
        words = text(explanation_lines(titled("429 too many requests"), {"throttle": 3}, 80, 30))
        assert "injected 3 times" in words
        words = text(explanation_lines(titled("429 too many requests"), {"throttle": 1}, 80, 30))
        assert "injected 1 time since" in words


class TestEvents:
    def test_the_newest_come_first_without_the_cycles_and_as_plain_text(self) -> None:
        events = [
            PipelineEvent(EventKind.WORKER_DIED, "writer-1 \x1b[31m[red]died", 30, NOON),
            PipelineEvent(EventKind.CYCLE_STARTED, "cycle 2", 20, NOON),
            PipelineEvent(EventKind.DATABASE_DOWN, "gone", 40, NOON + timedelta(seconds=1)),
            PipelineEvent(EventKind.RESUMED, "resumed", 20, NOON + timedelta(seconds=2)),
        ]
        lines = event_lines(events, NOON, 80, 5)
        assert [line[1].role for line in lines] == [Role.LABEL, Role.BAD, Role.WARN]
        assert "cycle 2" not in text(lines)
        assert "writer-1 ·[31m[red]died" in text(lines)
        assert text(event_lines(events, NOON, 80, 1)).startswith("17:46:02 resumed")

    def test_without_data_there_is_a_placeholder(self) -> None:
        assert "no events yet" in text(event_lines([], NOON, 60, 3))
        assert len(event_lines([], NOON, 60, 0)) == 1


class TestVictim:
    def test_a_busy_writer_is_preferred(self) -> None:
        assert writer_to_kill(running()) == "writer-1"

    def test_writers_that_are_leaving_are_spared(self) -> None:
        assert writer_to_kill(degraded()) == "writer-1"
        gone = worker(StageName.WRITER, 1, WorkerState.BACKOFF, "")
        assert writer_to_kill(replace(running(), workers=(gone,))) is None

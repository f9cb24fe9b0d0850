"""When a source counts as slow, throttled, down or recovered, and the limit on log lines."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.stages.schedule import SkippedStarts
from sp500tui.pipeline.stages.source_health import (
    SLOW_AFTER,
    Condition,
    Outcome,
    SourceHealth,
    SourceWatch,
    SourceWatches,
)
from tests.support.waiting import FakeClock

G, S, T, F, H = Outcome.GOOD, Outcome.SLOW, Outcome.THROTTLED, Outcome.FAILED, Outcome.HELD_BACK
DOWN, BACK = EventKind.SOURCE_FAILED, EventKind.SOURCE_RECOVERED
SLOW, THROTTLED = EventKind.SOURCE_SLOW, EventKind.THROTTLED

REASONS = {F: "answered 503", T: "limits the request rate (429)", S: "its answers take 4.0 s"}


def run(outcomes: Sequence[Outcome], *, step: float = 1.0, **options: int) -> list[tuple[EventKind, str]]:
    """The lines logged for outcomes `step` seconds apart, each of a different symbol."""
    health = SourceHealth("Source", **options)  # type: ignore[arg-type]
    found = []
    for number, outcome in enumerate(outcomes):
        notice = health.record(
            number * step, outcome, reason=REASONS.get(outcome, ""), symbols=[f"S{number}"]
        )
        if notice is not None:
            assert (notice.level == logging.INFO) == (notice.kind is BACK)
            found.append((notice.kind, notice.message))
    return found


@pytest.mark.parametrize(
    ("outcomes", "lines"),
    [
        ([G, G, G], []),
        ([F, F, G, F, F, G], []),
        ([S, G, S, G], []),
        (
            [G, F, F, F, F, H, H, G, G],
            [
                (DOWN, "Source is down: answered 503"),
                (BACK, "Source is back: down for 4.0 s; 6 symbols affected"),
            ],
        ),
        (
            [S, S, S, S, G],
            [
                (SLOW, "Source is slow: its answers take 4.0 s"),
                (BACK, "Source is back: slow for 3.0 s"),
            ],
        ),
        (
            [T, H, H, T, G],
            [
                (THROTTLED, "Source is throttled: limits the request rate (429)"),
                (BACK, "Source is back: throttled for 4.0 s; 4 symbols affected"),
            ],
        ),
        (
            [S, S, F, F, F, T, T, G],
            [
                (SLOW, "Source is slow: its answers take 4.0 s"),
                (DOWN, "Source is down: answered 503"),
                (THROTTLED, "Source is throttled: limits the request rate (429)"),
                (
                    BACK,
                    "Source is back: slow for 3.0 s, down for 1.0 s, throttled for 2.0 s; 5 symbols affected",
                ),
            ],
        ),
        (
            [F, F, F, S, S, G],
            [
                (DOWN, "Source is down: answered 503"),
                (SLOW, "Source is slow: its answers take 4.0 s"),
                (BACK, "Source is back: down for 2.0 s, slow for 1.0 s; 3 symbols affected"),
            ],
        ),
    ],
    ids=[
        "good",
        "single failures",
        "single slow answers",
        "down and back",
        "slow only",
        "throttled only",
        "slow, down, throttled",
        "back by way of slow answers",
    ],
)
def test_changes_are_reported_once(outcomes: list[Outcome], lines: list[tuple[EventKind, str]]) -> None:
    assert run(outcomes) == lines


def test_a_long_outage_is_two_lines_however_many_requests_failed() -> None:
    lines = run([F] * 1000 + [G] * 1000)
    assert [kind for kind, _ in lines] == [DOWN, BACK]
    assert lines[1][1] == "Source is back: down for 16.6 min; 1,000 symbols affected"


def test_a_single_symbol_is_written_in_the_singular() -> None:
    health = SourceHealth("Source", tolerated=0)
    health.record(0, F, symbols=["A"])
    health.record(1, F, symbols=["A"])
    notice = health.record(2, G)
    assert notice is not None
    assert notice.message == "Source is back: down for 2.0 s; 1 symbol affected"


def test_frequent_changes_are_limited_and_counted() -> None:
    # given a source that fails and recovers every second for an hour
    health = SourceHealth("Source", tolerated=0)
    messages = []
    for second in range(3600):
        notice = health.record(second, F if second % 2 else G, reason="answered 500", symbols=["A"])
        messages += [notice.message] if notice else []
    # then at most four lines are logged within a minute
    assert len(messages) <= 4 * 60
    # and the changes between them are counted
    assert any("more changes since the last report" in message for message in messages)


def test_a_pending_change_is_reported_when_the_limit_allows_it() -> None:
    health = SourceHealth("Source", tolerated=0)
    for second, outcome in enumerate([F, G, F, G, F, F]):
        health.record(second, outcome, reason="answered 500")
    assert health.condition is Condition.DOWN
    assert health.pending_notice(59.9) is None
    notice = health.pending_notice(60.0)
    assert notice is not None
    assert (notice.kind, notice.message) == (DOWN, "Source is down: answered 500")
    assert health.pending_notice(61.0) is None


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ([], None),
        ([G], None),
        ([F, F], None),
        ([F, F, F, H], "Source: still down at the end of the run, down for 8.0 s; 4 symbols affected"),
        ([S, S], "Source: still slow at the end of the run, slow for 9.0 s"),
        ([T], "Source: still throttled at the end of the run, throttled for 10.0 s; 1 symbol affected"),
        ([T, G], None),
        (
            [T, G, T, G, T, G],
            "Source: 2 more changes since the last report, throttled for 1.0 s; 1 symbol affected",
        ),
    ],
)
def test_a_lasting_condition_is_reported_at_the_end(outcomes: list[Outcome], words: str | None) -> None:
    health = SourceHealth("Source")
    for second, outcome in enumerate(outcomes):
        health.record(second, outcome, symbols=[f"S{second}"])
    notice = health.final_notice(10.0)
    assert (notice.message if notice else None) == words


def test_a_watch_reports_events_of_its_source() -> None:
    events: list[PipelineEvent] = []
    clock = FakeClock()
    watch = SourceWatch(SourceHealth("Source"), events.append, clock)
    watch.record_response(SLOW_AFTER - 0.1)
    for _ in range(3):
        watch.record_response(SLOW_AFTER)
        clock.now += 2.0
    assert watch.condition is Condition.SLOW
    watch.record_response(0.2)
    watch.report_pending()
    watch.close()
    assert [(event.kind, event.message) for event in events] == [
        (SLOW, "Source is slow: its answers take 3.0 s"),
        (BACK, "Source is back: slow for 4.0 s"),
    ]


def test_a_run_ends_with_a_notice_for_each_failing_source() -> None:
    events: list[PipelineEvent] = []
    clock = FakeClock()
    watches = SourceWatches(events.append, clock)
    watches.wikipedia.record(F, "using the bundled list", ["A", "B"])
    for _ in range(3):
        watches.rates.record(F, "no usable rate for USD/DKK", ["A"])
    clock.now += 30.0
    watches.close()
    assert [event.message for event in events] == [
        "Wikipedia gives no usable list: using the bundled list",
        "exchange rates are not available: no usable rate for USD/DKK",
        "Wikipedia: still down at the end of the run, down for 30.0 s; 2 symbols affected",
        "exchange rates: still down at the end of the run, down for 30.0 s; 1 symbol affected",
    ]


def test_skipped_starts_are_reported_once_a_minute() -> None:
    skips = SkippedStarts()
    assert skips.record(0.0, 3, 1) == ("cycle 3 is still running: a start was skipped", 1)
    assert [skips.record(second, 3, 1 + second) for second in range(1, 60)] == [("", 0)] * 59
    assert skips.record(60.0, 3, 61) == (
        "cycle 3 is still running: 60 starts were skipped in the last 60 s",
        60,
    )
    # and across cycles
    assert skips.record(61.0, 4, 1) == ("", 0)
    assert skips.record(62.0, 5, 2) == ("", 0)
    assert skips.record(121.0, 6, 1) == (
        "cycle 6 is still running: 4 starts were skipped in the last 61 s",
        4,
    )
    assert skips.record(200.0, 6, 1) == ("", 0)

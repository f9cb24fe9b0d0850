"""The last request for missing bars: its progress, then its outcome."""

from __future__ import annotations

from dataclasses import replace

from sp500tui.pipeline.api import HistorySnapshot
from sp500tui.tui.symbol.bars_request import NOTHING_MISSING, BarsRequest

EARLIER = HistorySnapshot(
    requests=4, requests_done=4, sessions_completed=9, failed=1, problem="an old problem"
)


def accepted() -> BarsRequest:
    """A request that the pipeline accepted after the third query."""
    request = BarsRequest()
    request.update(EARLIER, 3)
    request.begin()
    request.accept(3)
    return request


def test_without_a_request_there_is_no_text() -> None:
    request = BarsRequest()
    request.update(EARLIER, 1)
    assert (request.text, request.active) == ("", False)


def test_the_progress_is_shown_until_everything_is_done() -> None:
    request = accepted()
    request.update(replace(EARLIER, requests=6), 4)
    assert request.text.startswith("fetching: 4 of 6 requests done")
    request.update(replace(EARLIER, requests=6, requests_done=6, sessions_completed=11), 5)
    assert not request.active
    assert request.text == "fetched: 2 sessions complete"


def test_an_answer_from_before_the_request_does_not_end_it() -> None:
    request = accepted()
    request.update(EARLIER, 3)
    assert request.active


def test_the_outcome_names_what_is_incomplete_and_new_problems_only() -> None:
    done = replace(EARLIER, requests=6, requests_done=6)
    for after, text in (
        (
            replace(done, sessions_completed=10, sessions_incomplete=3),
            "fetched: 1 session complete, 3 still incomplete",
        ),
        (replace(done, failed=2), "an old problem"),
        (replace(done, problem="a new problem"), "a new problem"),
        (EARLIER, NOTHING_MISSING),
    ):
        request = accepted()
        request.update(after, 4)
        assert request.outcome == text


def test_a_refused_request_has_its_reason_and_another_symbol_none() -> None:
    request = BarsRequest()
    request.begin()
    request.refuse("the pipeline is stopping")
    assert (request.text, request.active) == ("the pipeline is stopping", False)
    request.accept(1)
    request.forget()
    assert (request.text, request.active) == ("", False)

"""The differences between two lists of constituents, and their reports."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sp500tui.model import Constituent
from sp500tui.pipeline.core.events import EventKind, PipelineEvent
from sp500tui.pipeline.stages.current_constituents import CurrentConstituents
from sp500tui.pipeline.stages.index_changes import compare, describe_change
from sp500tui.sources.wikipedia.client import ConstituentList


def companies(*symbols: str) -> tuple[Constituent, ...]:
    """Companies by symbol and, after a colon, CIK; without one, the CIK is the symbol."""
    pairs = [(text.split(":") * 2)[:2] for text in symbols]
    return tuple(Constituent(symbol, symbol, "", "", "", None, cik, "") for symbol, cik in pairs)


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        (["A", "B"], ["B", "A"], ""),
        (["A"], ["A", "C", "B"], "added B, C"),
        (["A", "B"], ["A"], "removed B"),
        (["FB:1", "A"], ["META:1", "A"], "renamed FB to META"),
        (["FB:1", "A"], ["META:1", "B"], "renamed FB to META; added B; removed A"),
        # of two classes of shares, one is removed
        (["NWS:1", "NWSA:1"], ["NWSA:1"], "removed NWS"),
        (["X:1", "Y:1"], ["V:1", "W:1"], "added V, W; removed X, Y"),
        # companies without a CIK
        (["X:"], ["Y:"], "added Y; removed X"),
        ([], [f"S{number}" for number in range(8)], "added S0, S1, S2, S3, S4, S5 and 2 more"),
    ],
)
def test_lists_are_compared_by_ticker_and_company(before: list[str], now: list[str], text: str) -> None:
    difference = compare(companies(*before), companies(*now))
    assert str(difference) == text
    assert bool(difference) is bool(text)


class Lists:
    """A source that returns one list after another."""

    def __init__(self, *lists: ConstituentList) -> None:
        self.lists = list(lists)

    def load(self) -> ConstituentList:
        return self.lists.pop(0)


def found(
    *symbols: str, origin: str = "wikipedia", previous: tuple[Constituent, ...] = ()
) -> ConstituentList:
    return ConstituentList(companies(*symbols), origin, datetime.now(UTC), "", previous=previous)  # type: ignore[arg-type]


def test_a_changed_list_is_an_event() -> None:
    # given a list that follows one of an earlier run, and a later one
    events: list[PipelineEvent] = []
    lists = Lists(found("A", "B", previous=companies("A")), found("A", "B"), found("A", "C"))
    current = CurrentConstituents(lambda: lists, (), 0.0, publish=events.append)
    for _ in range(3):
        current.refresh()

    # then each change is reported once
    assert [(event.kind, event.message) for event in events] == [
        (EventKind.INDEX_CHANGED, "the index changed: added B"),
        (EventKind.INDEX_CHANGED, "the index changed: added C; removed B"),
    ]


def test_a_fallback_list_is_no_change() -> None:
    events: list[PipelineEvent] = []
    lists = Lists(found("A"), found("B", origin="bundled"))
    current = CurrentConstituents(lambda: lists, (), 0.0, publish=events.append)
    confirmed = []
    for _ in range(2):
        current.refresh()
        confirmed.append(current.confirmed)
    assert confirmed == [True, False]
    assert events == []


def test_the_list_after_a_fallback_is_compared_with_the_one_before_it() -> None:
    # given a list that is older than the index and comes with the program, at the start and in an outage
    events: list[PipelineEvent] = []
    bundled = found("OLD", origin="bundled")
    lists = Lists(bundled, found("A"), bundled, found("A"), bundled, found("A", "B"))
    current = CurrentConstituents(lambda: lists, (), 0.0, publish=events.append)
    for _ in range(6):
        current.refresh()
    # then only what changed between Wikipedia's own lists is reported
    assert [event.message for event in events] == ["the index changed: added B"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("", "A B", ""),
        ("A B", "B A", ""),
        ("A B", "A C D", "the list of constituents has changed: 2 added (C, D), 1 removed (B)"),
        ("A B C", "A", "the list of constituents has changed: 2 removed (B, C)"),
        (
            "A",
            "A " + " ".join(f"N{number}" for number in (*range(10), "X", "Y")),
            "the list of constituents has changed: 12 added (N0, N1, N2, N3, N4, N5, N6, N7, N8, N9, …)",
        ),
    ],
)
def test_a_change_of_the_list_is_described(before: str, after: str, message: str) -> None:
    assert describe_change(before.split(), after.split()) == message

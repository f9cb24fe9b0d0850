"""Bars missing from the simulated Yahoo Finance: whole sessions, and single bars without prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sp500tui.simulator.faults import Faults
from sp500tui.simulator.market.bars import Bar
from sp500tui.simulator.market.instruments import fraction


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a chart."""

    bar: Bar
    end: int
    """End of the bar, seconds since 1970."""
    session: int
    """Start of the regular session to which it belongs, seconds since 1970."""
    is_null: bool = False


@dataclass(frozen=True, slots=True)
class FaultyElements:
    """The elements of a chart with its faults."""

    elements: list[Element]
    withheld: list[Element]
    """The elements that are null or absent."""
    faults: frozenset[str]
    """The names of the faults that occurred."""


def apply_faults(
    elements: Sequence[Element],
    faults: Faults,
    seed: object,
    key: tuple[str, str],
    is_over: Callable[[int], bool],
) -> FaultyElements:
    """Withhold bars that have ended; the choice depends only on the seed, `key` (symbol, interval) and their time.

    `is_over` decides whether a time, in seconds since 1970, has passed.
    """
    if not (faults.lost_sessions or faults.null_bars):
        return FaultyElements(list(elements), [], frozenset())
    kept: list[Element] = []
    withheld: list[Element] = []
    occurred: set[str] = set()
    lost: dict[int, bool] = {}
    last = {element.session: element.end for element in elements}
    for element in elements:
        session = element.session
        if session not in lost:
            over = is_over(last[session])
            lost[session] = over and fraction(seed, "lost session", session) < faults.lost_sessions
        if lost[session]:
            occurred.add("lost_sessions")
            withheld.append(element)
        elif is_over(element.end) and fraction(seed, "null", *key, element.bar.start) < faults.null_bars:
            occurred.add("null_bars")
            withheld.append(element)
            kept.append(Element(element.bar, element.end, session, is_null=True))
        else:
            kept.append(element)
    return FaultyElements(kept, withheld, frozenset(occurred))

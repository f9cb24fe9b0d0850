"""How the timeline shows each state: letter, word, colour, the reason in a sentence, and the legend."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import WorkerState
from sp500tui.pipeline.core.timing.spans import Span
from sp500tui.tui.render.lines import Line, Role, joined, longest_that_fits
from sp500tui.tui.render.lines import Span as Text

TRACE = "▁"
"""Sign of a cell of which less than a tenth was not idle."""
CYCLE = "┊"
"""Sign of a cell in whose column a cycle starts."""


class StateSign(NamedTuple):
    """How a state is shown."""

    word: str
    """Word of the state; its first letter is the sign."""
    legend: str
    role: Role
    filled: Role
    """The role in cells in which most of the time was not idle."""

    @property
    def letter(self) -> str:
        """The state's sign in one cell."""
        return self.word[0]


SIGNS: Mapping[WorkerState, StateSign] = {
    WorkerState.BUSY: StateSign("Working", "working", Role.GOOD, Role.GOOD_FILLED),
    WorkerState.SOURCE: StateSign("Source", "source", Role.ACCENT, Role.ACCENT_FILLED),
    WorkerState.LIMIT: StateSign("Limit", "limit", Role.WARN, Role.WARN_FILLED),
    WorkerState.BLOCKED: StateSign("Blocked", "queue full", Role.WARN, Role.WARN_FILLED),
    WorkerState.JOURNAL: StateSign("Journal", "journal", Role.LABEL, Role.LABEL_FILLED),
    WorkerState.DATABASE: StateSign("Database", "database", Role.VALUE, Role.VALUE_FILLED),
    WorkerState.BACKOFF: StateSign("! error", "error", Role.BAD, Role.BAD_FILLED),
    WorkerState.DATABASE_DOWN: StateSign("No database", "no db", Role.BAD, Role.BAD_FILLED),
    WorkerState.RATE: StateSign("Rate", "fx rate", Role.WARN, Role.WARN_FILLED),
    WorkerState.PAUSED: StateSign("Paused", "paused", Role.LABEL, Role.LABEL_FILLED),
    WorkerState.STARTING: StateSign("+ start", "starting", Role.LABEL, Role.LABEL_FILLED),
    WorkerState.IDLE: StateSign("·", "idle", Role.DIM, Role.DIM),
}
"""States in the order of the legend: the frequent ones first."""
_FREQUENT = (*list(SIGNS)[:7], WorkerState.IDLE)
"""The states of the legend in a window of 80 columns."""
_SHORT_WORDS = {"queue full": "full", "database": "db"}
"""Words of the legend in a narrower one."""

_INPUTS: Mapping[StageName, str] = {
    StageName.SCRAPER: "waits for the next cycle",
    StageName.PRICE: "the tickers queue is empty",
    StageName.CONVERTER: "the quotes queue is empty",
    StageName.WRITER: "the rows queue is empty",
    StageName.HISTORY: "there is no request for missing bars",
}
_WORK: Mapping[StageName, str] = {
    StageName.SCRAPER: "puts the tickers of a cycle on the tickers queue",
    StageName.PRICE: "reads the answer and puts its quotes on the quotes queue",
    StageName.CONVERTER: "adds the price in the second currency",
    StageName.WRITER: "prepares a batch of rows",
    StageName.HISTORY: "reads the answer with the bars",
}
_FULL: Mapping[StageName, str] = {
    StageName.SCRAPER: "the tickers queue is full: the price workers take tickers too slowly",
    StageName.PRICE: "the quotes queue is full: the converters take quotes too slowly",
    StageName.CONVERTER: "the rows queue is full: the writers take rows too slowly",
    StageName.WRITER: "the next queue is full",
    StageName.HISTORY: "the queue of bars is full: they are stored too slowly",
}
_SOURCES: Mapping[StageName, str] = {
    StageName.SCRAPER: "Wikipedia has not answered yet",
    StageName.PRICE: "Yahoo Finance has not answered the request yet",
    StageName.HISTORY: "Yahoo Finance has not answered the request for bars yet",
}
_REASONS: Mapping[WorkerState, str] = {
    WorkerState.LIMIT: "the request limit admits no further request yet",
    WorkerState.RATE: "the exchange rate of its quotes is not known yet",
    WorkerState.JOURNAL: "the journal's disk has not confirmed the batch yet",
    WorkerState.DATABASE: "PostgreSQL has not confirmed the commit yet",
    WorkerState.DATABASE_DOWN: "the database cannot be used: waits for the next attempt",
    WorkerState.BACKOFF: "it failed, and waits before it starts again",
    WorkerState.PAUSED: "the stage is paused",
    WorkerState.STARTING: "opens its source or starts its process",
}


def reason(stage: StageName, span: Span, *, process: bool = False) -> str:
    """Why a worker, or the process of a writer, was in the state of a span."""
    state = span.state
    if process and state is WorkerState.STARTING:
        return "the process starts and connects to the database"
    if process and state is WorkerState.IDLE:
        return "its thread sends no batch"
    by_stage = {
        WorkerState.IDLE: _INPUTS,
        WorkerState.BUSY: _WORK,
        WorkerState.BLOCKED: _FULL,
        WorkerState.SOURCE: _SOURCES,
    }
    reasons = by_stage.get(state)
    return _REASONS.get(state, "") if reasons is None else reasons.get(stage, "")


def legend_lines(width: int, lines: int, present: Collection[WorkerState] = ()) -> list[Line]:
    """The letters of the states; with two lines also the meaning of small letters and other signs.

    If not all fit, those in `present` and the frequent ones have priority.
    """
    states = longest_that_fits(list(_legends(present)), width)
    if lines < 2:
        return [states]
    explained = (
        (Text("S", SIGNS[WorkerState.SOURCE].filled), Text(" at least half of the cell's time", Role.LABEL)),
        (Text("s", SIGNS[WorkerState.SOURCE].role), Text(" at least a tenth", Role.LABEL)),
        (Text(TRACE, SIGNS[WorkerState.SOURCE].role), Text(" less", Role.LABEL)),
        (Text(CYCLE, Role.DIM), Text(" a cycle starts", Role.LABEL)),
        (Text("▁▄█", Role.ACCENT), Text(" 1, 25, 100 % full or held", Role.LABEL)),
    )
    return [states, longest_that_fits([joined(explained[:count], "  ") for count in (5, 4, 3)], width)]


def _legends(present: Collection[WorkerState]) -> Iterator[Line]:
    """Legends from all states down to those in `present`, which are the last to be left out."""
    needed = [state for state in SIGNS if state in _FREQUENT or state in present]
    rare = [state for state in SIGNS if state not in needed]
    for count in range(len(rare), -1, -1):
        yield _legend({*needed, *rare[:count]}, {}, "  ")
        yield _legend({*needed, *rare[:count]}, {}, " ")
    dropped = [state for state in reversed(needed) if state not in present]
    for count in range(len(dropped) + 1):
        yield _legend({*needed} - {*dropped[:count]}, _SHORT_WORDS, " ")


def _legend(states: Collection[WorkerState], words: Mapping[str, str], between: str) -> Line:
    return joined(
        [
            (Text(sign.letter, sign.filled), Text(f" {words.get(sign.legend, sign.legend)}", Role.LABEL))
            for state, sign in SIGNS.items()
            if state in states
        ],
        between,
    )

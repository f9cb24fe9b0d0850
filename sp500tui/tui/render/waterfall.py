"""The journey of one quote as a waterfall chart: a bar for each leg, to scale."""

from __future__ import annotations

from collections.abc import Mapping

from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.journeys import LEGS, Journey, Moment
from sp500tui.tui.render.formats import fit, milliseconds
from sp500tui.tui.render.lines import Line, Role, Span, cut

LEG_ROLES: Mapping[Moment, Role] = {
    Moment.TAKEN: Role.LABEL_FILLED,
    Moment.SENT: Role.WARN_FILLED,
    Moment.ANSWERED: Role.ACCENT_FILLED,
    Moment.CONVERTED: Role.GOOD_FILLED,
    Moment.JOURNALLED: Role.LABEL_FILLED,
    Moment.TO_WRITER: Role.WARN_FILLED,
    Moment.COMMITTED: Role.VALUE_FILLED,
}
_SHORT_NAMES: Mapping[Moment, str] = {
    Moment.TAKEN: "tickers queue",
    Moment.SENT: "limit",
    Moment.ANSWERED: "source",
    Moment.CONVERTED: "conversion",
    Moment.JOURNALLED: "journal",
    Moment.TO_WRITER: "writer",
    Moment.COMMITTED: "database",
}
"""Names in the bars; their first letters differ."""
LEG_LETTERS: Mapping[Moment, str] = {moment: name[0].upper() for moment, name in _SHORT_NAMES.items()}
"""Letters in bars without room for a name."""
_NAME_WIDTH = max(map(len, LEGS.values())) + 1
_TIME_WIDTH = 8
_STAGE_OF = {
    Moment.TAKEN: StageName.PRICE,
    Moment.ANSWERED: StageName.PRICE,
    Moment.CONVERTED: StageName.CONVERTER,
    Moment.COMMITTED: StageName.WRITER,
}


def waterfall_lines(journey: Journey, width: int, most: int = len(LEGS)) -> list[Line]:
    """A line for each known leg: its name, its duration and a bar at its position in the whole.

    If there are more than `most` legs, the longest are shown.
    """
    room = max(4, width - _NAME_WIDTH - _TIME_WIDTH - 1)
    scale = room / journey.total if journey.total else 0.0
    lines: list[Line] = []
    longest = sorted(journey.legs(), key=lambda leg: leg[1] - leg[2])[:most]
    for moment, start, end in sorted(longest):
        first = min(room - 1, int((start - journey.begin) * scale))
        last = min(room, max(first + 1, round((end - journey.begin) * scale)))
        worker = journey.workers.get(_STAGE_OF[moment], "") if moment in _STAGE_OF else ""
        bar = (
            Span(" " * first),
            Span(
                fit(worker, last - first) if last - first > len(worker) else " " * (last - first),
                LEG_ROLES[moment],
            ),
        )
        lines.append(
            cut(
                (
                    Span(fit(LEGS[moment], _NAME_WIDTH), Role.LABEL),
                    Span(fit(milliseconds((end - start) * 1000), _TIME_WIDTH, "right") + " "),
                    *bar,
                ),
                width,
            )
        )
    return lines


def waterfall_bar(journey: Journey, width: int, longest: float) -> Line:
    """All legs in one line, to the scale of the longest journey shown, with their names, or letters if too short."""
    scale = width / longest if longest else 0.0
    spans: list[Span] = []
    used = 0
    for moment, _, end in journey.legs():
        right = min(width, round((end - journey.begin) * scale))
        if right > used:
            name = _SHORT_NAMES[moment]
            text = name if right - used > len(name) else LEG_LETTERS[moment]
            spans.append(Span(text.ljust(right - used), LEG_ROLES[moment]))
            used = right
    return cut(spans, width)

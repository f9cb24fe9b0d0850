"""`sp500tui gaps`: lists the trading days whose bars or collected prices are not complete."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sp500tui.cli.commands.data.survey import history_request, opened, surveyed, utc_now
from sp500tui.cli.context import configuration_of
from sp500tui.cli.output import as_columns
from sp500tui.errors import ExitCode
from sp500tui.logs.standard_streams import write_json, write_output

if TYPE_CHECKING:
    from sp500tui.pipeline.history.coverage import DayCoverage
    from sp500tui.storage.transaction import Connection

_NAMED_SYMBOLS = 4
_NO_DAYS = "there are no trading days in this window"


def run(namespace: Namespace) -> int:
    """Print the gaps; the exit code is 1 if the source may have what is missing."""
    from sp500tui.pipeline.history.coverage import RETRIEVABLE, CoverageState
    from sp500tui.storage.connection import connect
    from sp500tui.storage.history.sessions import QUOTES

    configuration = configuration_of(namespace)
    request = history_request(namespace, configuration, utc_now())
    with (
        opened(configuration) as (sources, database, _),
        connect(database.url, application_name="sp500tui gaps") as connection,
    ):
        found = surveyed(connection, sources, request)
        coverage = found.coverage
        gaps = [each for each in coverage if each.state is not CoverageState.COMPLETE]
        if configuration.settings.json_output:
            write_json(json.dumps([gap_json(connection, gap) for gap in gaps], indent=1) + "\n")
        else:
            write_output("".join(gap_lines(gaps)) + f"{_summary(coverage)}\n")
    retrievable = bool(found.unknown) or any(gap.state in RETRIEVABLE for gap in gaps)
    return ExitCode.INCOMPLETE if retrievable and request.resolution != QUOTES else ExitCode.OK


def _summary(coverage: Sequence[DayCoverage]) -> str:
    if not coverage:
        return _NO_DAYS
    states = Counter(str(each.state) for each in coverage)
    complete, replaced = states["complete"], states["replaced"]
    text = f"{complete:,} of {len(coverage):,} days are complete"
    return f"{text}, {replaced:,} are replaced by longer bars" if replaced else text


def gap_lines(gaps: Sequence[DayCoverage]) -> Iterable[str]:
    """A line for each date and state, newest first: how many bars are missing or replaced, and the symbols."""
    groups: dict[tuple[str, str], list[DayCoverage]] = defaultdict(list)
    for gap in gaps:
        groups[str(gap.day.session_date), str(gap.state)].append(gap)
    rows = []
    for (day, state), members in sorted(groups.items(), reverse=True):
        counted = sum(gap.missing or gap.replaced for gap in members)
        attempts = max(gap.attempts.count for gap in members)
        names = ", ".join(gap.symbol for gap in members[:_NAMED_SYMBOLS])
        more = f" and {len(members) - _NAMED_SYMBOLS:,} more" if len(members) > _NAMED_SYMBOLS else ""
        unit = "minutes" if members[0].resolution == "quotes" else f"{members[0].resolution} bars"
        times = f"requested {attempts} time{'s' * (attempts > 1)}" if attempts else ""
        rows.append((day, state, f"{counted:,} {unit}", names + more, times))
    return [as_columns(rows)] if rows else []


def gap_json(connection: Connection, gap: DayCoverage) -> dict[str, object]:
    """A gap for `--json`: `holes` are the ranges without bars, times are ISO 8601 in UTC."""
    from sp500tui.pipeline.history.coverage import holes
    from sp500tui.storage.history.sessions import QUOTES, bar_starts

    day = gap.day
    ranges: list[list[str]] | None = None
    if gap.resolution != QUOTES:
        stored = (
            bar_starts(connection, gap.symbol, gap.resolution, day.start_time, day.end_time)
            if gap.present
            else frozenset()
        )
        found = holes(day, gap.resolution, stored)
        ranges = [[first.isoformat(), last.isoformat()] for first, last in found]
    return {
        "symbol": gap.symbol,
        "resolution": gap.resolution,
        "session_date": day.session_date.isoformat(),
        "expected": gap.expected,
        "present": gap.present,
        "replaced": gap.replaced,
        "state": str(gap.state),
        "attempts": gap.attempts.count,
        "asked_at": gap.attempts.asked_at.isoformat() if gap.attempts.asked_at else None,
        "holes": ranges,
    }

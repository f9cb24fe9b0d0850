"""The live display of a headless run, and its summary in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sp500tui.logs.redaction import plain
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import (
    DatabaseSnapshot,
    QueueSnapshot,
    Snapshot,
    StageSnapshot,
)
from sp500tui.pipeline.report import RunReport

if TYPE_CHECKING:
    from rich.table import Table

_QUEUE_BESIDE: Mapping[StageName, QueueName] = {
    StageName.SCRAPER: QueueName.TICKERS,
    StageName.PRICE: QueueName.QUOTES,
    StageName.CONVERTER: QueueName.ROWS,
    StageName.HISTORY: QueueName.HISTORY,
}
"""The queue in the line of a stage: the one that it fills, or for the history stage its input."""
_BAR = 24
_NAMED = 20
"""Symbols named in the line of missing symbols."""


def display(snapshot: Snapshot) -> Table:
    """The state of the run in about ten lines."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(Text(headline(snapshot), style="bold"))
    grid.add_row(Text(str(snapshot.ledger)))
    grid.add_row(_stages(snapshot))
    for reason in snapshot.degraded:
        grid.add_row(Text(f"! {reason}", style="yellow"))
    return grid


def _stages(snapshot: Snapshot) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for _ in range(2):
        table.add_column(no_wrap=True)
    for stage in snapshot.stages:
        if stage.name is StageName.HISTORY and not stage.alive:
            continue
        table.add_row(Text(stage_line(stage)), Text(queue_beside(snapshot, stage)))
    return table


def headline(snapshot: Snapshot) -> str:
    """Phase, cycle with a progress bar, rate, and the time left or until the next cycle."""
    cycle = snapshot.cycle
    market = "demo" if snapshot.demo else "live"
    done = min(cycle.done, cycle.total)
    filled = round(_BAR * done / cycle.total) if cycle.total else 0
    bar = "█" * filled + "░" * (_BAR - filled)
    parts = [
        f"sp500tui {market}  {snapshot.phase.value}",
        f"cycle {cycle.number}  {bar} {done:,}/{cycle.total:,}",
    ]
    rate = next((stage.rate for stage in snapshot.stages if stage.name is StageName.WRITER), 0.0)
    parts.append(f"{rate:,.1f} rows/s")
    if (left := eta(snapshot)) is not None:
        parts.append(f"{left:,.0f} s left")
    elif cycle.next_in is not None:
        parts.append(f"next cycle in {cycle.next_in:,.0f} s")
    return "  ".join(parts)


def eta(snapshot: Snapshot) -> float | None:
    """Estimated seconds until the current cycle finishes; None if they cannot be estimated."""
    cycle = snapshot.cycle
    if not cycle.running or not cycle.done or cycle.done >= cycle.total:
        return None
    return cycle.seconds / cycle.done * (cycle.total - cycle.done)


def stage_line(stage: StageSnapshot) -> str:
    """`price      ×4  busy 3   41.2/s  p95 98 ms`, in fixed columns."""
    p95 = "     –" if stage.latency.p95 is None else f"{stage.latency.p95:>6,.0f}"
    return f"{stage.name.value:<10}×{stage.size:<3} busy {stage.busy:<3} {stage.rate:>8,.1f}/s  p95 {p95} ms"


def queue_beside(snapshot: Snapshot, stage: StageSnapshot) -> str:
    """The queue in the line of a stage; empty for the writers."""
    name = _QUEUE_BESIDE.get(stage.name)
    return next((queue_line(queue) for queue in snapshot.queues if queue.name is name), "")


def queue_line(queue: QueueSnapshot) -> str:
    """`→ quotes      12/4,096, 2 in flight`."""
    sign = "⋯" if queue.name is QueueName.HISTORY else "→"
    return f"{sign} {queue.name.value:<8}{queue.ready:>6,}/{queue.capacity:,}, {queue.in_flight:,} in flight"


def summary(report: RunReport) -> str:
    """The run in one line."""
    missing = f", {len(report.missing):,} missing" if report.missing else ""
    return (
        f"{report.outcome} after {report.elapsed:,.1f} s and {counted(report.cycles, 'cycle')}: "
        f"{report.ledger}{missing}; {_content(report.database)}"
    )


def _content(database: DatabaseSnapshot) -> str:
    if not (database.embedded or database.url):
        return "this node uses no database"
    name = "the embedded database" if database.embedded else database.url
    return f"{name} holds {'an unknown number of' if database.rows_total is None else f'{database.rows_total:,}'} rows"


def format_missing(symbols: Sequence[str]) -> str:
    """The symbols without a price; if there are more than 20, the first 20 and how to list the others."""
    named = plain(", ".join(symbols[:_NAMED]))
    more = len(symbols) - _NAMED
    return f"without a price: {named}" + (f" and {more:,} more; --json names all" if more > 0 else "")


def counted(number: int, noun: str) -> str:
    """The number with its noun: `1 row`, `503 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

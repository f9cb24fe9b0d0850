"""The schedule of the cycles as fields of a hash on the broker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sp500tui.cluster.broker.values import real, report, whole
from sp500tui.pipeline.api import MAX_INTERVAL, MIN_INTERVAL
from sp500tui.pipeline.stages.schedule import ScheduleState


def to_fields(record: ScheduleState, complete: bool, offset: float) -> dict[str, str]:
    """The schedule for the broker; `offset` is the broker's clock minus this node's ticks."""
    return {
        "number": str(record.number),
        "total": str(record.total),
        "running": str(int(record.running)),
        "began": repr(record.started_at + offset),
        "due": repr(record.due + offset),
        "seconds": repr(record.seconds),
        "skipped": str(record.skipped),
        "interval": repr(record.interval),
        "complete": str(int(complete)),
    }


def readable(fields: Mapping[str, str]) -> Mapping[str, str]:
    """The fields where all of them can be read; none otherwise, which is reported once."""
    if not fields:
        return {}
    numbers = [whole(fields.get(name)) for name in ("number", "total", "skipped")]
    times = [real(fields.get(name)) for name in ("began", "due")]
    times += [real(fields.get("seconds"), 0), real(fields.get("interval"), MIN_INTERVAL / 100, MAX_INTERVAL)]
    flags = [fields.get(name) in ("0", "1") for name in ("running", "complete")]
    if None in numbers or None in times or not all(flags):
        report("the schedule of the cycles", str(dict(fields)))
        return {}
    return fields


def from_fields(fields: Mapping[str, str], offset: float) -> ScheduleState:
    """The schedule that the broker holds, in this node's ticks. The fields are `readable`."""
    return ScheduleState(
        number=int(fields["number"]),
        total=int(fields["total"]),
        running=fields["running"] == "1",
        started_at=float(fields["began"]) - offset,
        due=float(fields["due"]) - offset,
        seconds=float(fields["seconds"]),
        skipped=int(fields["skipped"]),
        interval=float(fields["interval"]),
    )


def taken_over(fields: Mapping[str, str], offset: float, now: float) -> ScheduleState:
    """Where a new scheduler goes on: with the same cycle, or again where not all of its tickers had been put."""
    record = from_fields(fields, offset)
    # Nothing is due later than one interval from now, whatever the broker holds.
    record = replace(record, due=min(record.due, now + record.interval))
    if record.running and fields.get("complete") != "1":
        return replace(record, number=record.number - 1, running=False, due=now)
    return record

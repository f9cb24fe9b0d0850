"""Encoding of the cycle schedule as fields of a hash on the broker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sp500tui.cluster.broker.values import to_float, to_int, warn_invalid
from sp500tui.config.settings import MAX_INTERVAL, MIN_INTERVAL
from sp500tui.pipeline.stages.schedule import ScheduleState


def to_fields(record: ScheduleState, offset: float) -> dict[str, str]:
    """Encode the schedule; `offset` is the broker's clock minus `time.monotonic()` of this node."""
    return {
        "number": str(record.number),
        "total": str(record.total),
        "running": str(int(record.running)),
        "began": repr(record.started_at + offset),
        "due": repr(record.due + offset),
        "seconds": repr(record.seconds),
        "skipped": str(record.skipped),
        "interval": repr(record.interval),
        "complete": str(int(record.complete)),
    }


def validated_fields(fields: Mapping[str, str]) -> Mapping[str, str]:
    """The fields if all of them are valid; otherwise empty, which is logged once."""
    if not fields:
        return {}
    numbers = [to_int(fields.get(name)) for name in ("number", "total", "skipped")]
    times = [to_float(fields.get(name)) for name in ("began", "due")]
    times += [
        to_float(fields.get("seconds"), 0),
        to_float(fields.get("interval"), MIN_INTERVAL / 100, MAX_INTERVAL),
    ]
    flags = [fields.get(name) in ("0", "1") for name in ("running", "complete")]
    if None in numbers or None in times or not all(flags):
        warn_invalid("the schedule of the cycles", str(dict(fields)))
        return {}
    return fields


def from_fields(fields: Mapping[str, str], offset: float) -> ScheduleState:
    """Decode `validated_fields`; times become monotonic times of this node."""
    return ScheduleState(
        number=int(fields["number"]),
        total=int(fields["total"]),
        running=fields["running"] == "1",
        started_at=float(fields["began"]) - offset,
        due=float(fields["due"]) - offset,
        seconds=float(fields["seconds"]),
        skipped=int(fields["skipped"]),
        interval=float(fields["interval"]),
        complete=fields["complete"] == "1",
    )


def resumed_state(fields: Mapping[str, str], offset: float, now: float) -> ScheduleState:
    """The state from which a new scheduler continues; a cycle whose tickers were not all put starts again."""
    record = from_fields(fields, offset)
    # The next cycle is due within one interval, whatever the broker contains.
    record = replace(record, due=min(record.due, now + record.interval))
    if record.running and not record.complete:
        record = replace(record, number=record.number - 1, running=False, due=now)
    return replace(record, complete=True)

"""The schedule of a cluster: the scheduler advances and publishes it, the other nodes follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.errors import BrokerError, FencedError
from sp500tui.cluster.scheduling.leader_election import SchedulerLease
from sp500tui.cluster.scheduling.schedule_fields import from_fields, resumed_state, to_fields
from sp500tui.pipeline.stages.schedule import CycleSchedule, Plan, ScheduleAction

_TIMEOUT = 2.0
_MAX_IDLE = 0.5
"""Seconds between two checks of the scheduler's lease, which another thread renews."""


class SharedSchedule(CycleSchedule):
    """A `CycleSchedule` that only the scheduler advances."""

    def __init__(self, plan: Plan, interval: float, *, broker: Broker, lease: SchedulerLease) -> None:
        super().__init__(plan, interval)
        self._broker = broker
        self._lease = lease
        self._published: dict[str, str] = {}

    def count_from(self, number: int) -> None:
        """Count the planned cycles from the one after `number`."""
        with self._lock:
            if self._plan.cycles is not None:
                self._plan = Plan(number + self._plan.cycles, self._plan.duration)

    @property
    def fulfilled(self) -> bool:
        """Whether the planned number of cycles has ended, whichever node started them."""
        limit, state = self._plan.cycles, self.state()
        return limit is not None and (state.number > limit or (state.number == limit and not state.running))

    def next_action(self) -> ScheduleAction:
        """See `CycleSchedule.next_action`; nothing to do for a node that is not the scheduler."""
        return super().next_action() if self._lease.held else ScheduleAction.WAIT

    def idle_time(self) -> float:
        """See `CycleSchedule.idle_time`."""
        return min(_MAX_IDLE, super().idle_time() if self._lease.held else _MAX_IDLE)

    def begin(self, total: int) -> int:
        """See `CycleSchedule.begin`; the cycle is published before its first ticker is put.

        Raises:
            FencedError: another node has become the scheduler.
            BrokerError: the broker is unavailable; the cycle has not begun.
        """
        number = super().begin(total)
        try:
            self.publish()
        except BrokerError:
            self.retract(number)
            raise
        return number

    def publish(self) -> None:
        """Write the schedule to the broker if it has changed.

        Raises:
            FencedError: another node has become the scheduler.
            BrokerError: the broker is unavailable.
        """
        fields = to_fields(self.state(), self._offset())
        if _same(fields, self._published):
            return
        keys = [self._broker.key("scheduler:token"), self._broker.key("cycle")]
        arguments = [str(self._lease.token), *(part for pair in fields.items() for part in pair)]
        if not self._broker.run("publish_schedule", keys, arguments, retry_for=_TIMEOUT):
            raise FencedError("another node has become the scheduler; this node follows it")
        self._published = fields

    def invalidate(self) -> None:
        """Make the next `publish` write the schedule even if unchanged, because the broker has lost it."""
        self._published = {}

    def follow(self, fields: Mapping[str, str]) -> None:
        """Load the schedule that the scheduler published."""
        if fields:
            self.load(from_fields(fields, self._offset()))

    def take_over(self, fields: Mapping[str, str], *, reset: bool) -> None:
        """Continue the last scheduler's schedule; with `reset`, restart it now at this node's own interval."""
        if fields:
            record = resumed_state(fields, self._offset(), self._clock())
            if reset:
                record = replace(record, due=self._clock(), interval=self.interval)
            self.load(record)
        self._published = {}

    def _offset(self) -> float:
        return self._broker.now() - self._clock()


def _same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two schedules are equal up to clock jitter."""
    if one.keys() != other.keys():
        return False
    times = ("began", "due")
    return all(one[name] == other[name] for name in one if name not in times) and all(
        abs(float(one[name]) - float(other[name])) < 0.05 for name in times
    )

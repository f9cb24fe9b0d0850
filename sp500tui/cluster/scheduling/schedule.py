"""The schedule of a cluster: the scheduler decides by it, all others follow what it writes on the broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from sp500tui.cluster.broker.client import Broker
from sp500tui.cluster.broker.errors import BrokerError, FencedError
from sp500tui.cluster.scheduling.leader_election import SchedulerLease
from sp500tui.cluster.scheduling.schedule_fields import from_fields, taken_over, to_fields
from sp500tui.pipeline.stages.schedule import CycleSchedule, Plan, ScheduleAction

_TIMEOUT = 2.0
_LONGEST_IDLE = 0.5
"""Seconds after which the scheduler's lease, which changes elsewhere, is asked for again."""


class SharedCycles(CycleSchedule):
    """`CycleSchedule` that only the scheduler moves."""

    def __init__(
        self,
        plan: Plan,
        interval: float,
        *,
        broker: Broker,
        lease: SchedulerLease,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(plan, interval, clock)
        self._broker = broker
        self._lease = lease
        self._published: dict[str, str] = {}

    def count_from(self, number: int) -> None:
        """Have the plan's cycles count from the one after `number`."""
        with self._lock:
            if self._plan.cycles is not None:
                self._plan = Plan(number + self._plan.cycles, self._plan.duration)

    @property
    def fulfilled(self) -> bool:
        """Whether as many cycles as planned are over, whoever started them."""
        limit = self._plan.cycles
        return limit is not None and (self._number > limit or (self._number == limit and not self._running))

    def next_action(self) -> ScheduleAction:
        """See `CycleSchedule.next_action`; nothing to do for a node that is not the scheduler."""
        return super().next_action() if self._lease.held else ScheduleAction.WAIT

    def idle_time(self) -> float:
        """See `CycleSchedule.idle_time`."""
        return min(_LONGEST_IDLE, super().idle_time() if self._lease.held else _LONGEST_IDLE)

    def begin(self, total: int) -> int:
        """See `CycleSchedule.begin`; the others know of it before its first ticker is put.

        Raises:
            FencedError: another node is the scheduler by now.
            BrokerError: the broker does not answer. The cycle has not begun then.
        """
        number = super().begin(total)
        try:
            self.publish()
        except BrokerError:
            self.retract(number)
            raise
        return number

    def publish(self) -> None:
        """Write the schedule on the broker where it has changed.

        Raises:
            FencedError: another node is the scheduler by now.
            BrokerError: the broker does not answer.
        """
        fields = to_fields(self.state(), self._complete, self._offset())
        if _same(fields, self._published):
            return
        keys = [self._broker.key("scheduler:token"), self._broker.key("cycle")]
        arguments = [str(self._lease.token), *(part for pair in fields.items() for part in pair)]
        if not self._broker.run("cycle", keys, arguments, patience=_TIMEOUT):
            raise FencedError("another node has become the scheduler meanwhile; this one follows it")
        self._published = fields

    def publish_again(self) -> None:
        """Write the schedule with the next `publish`, changed or not: the broker has lost it."""
        self._published = {}

    def follow(self, fields: Mapping[str, str]) -> None:
        """Take over what the scheduler wrote."""
        if fields:
            self.load(from_fields(fields, self._offset()))
            self._complete = fields.get("complete") == "1"

    def take_over(self, fields: Mapping[str, str], *, anew: bool) -> None:
        """Go on where the last scheduler was; `anew` with this node's own rhythm, from now on."""
        if fields:
            record = taken_over(fields, self._offset(), self._clock())
            if anew:
                record = replace(record, due=self._clock(), interval=self._interval)
            self.load(record)
            self._complete = True
        self._published = {}

    def _offset(self) -> float:
        return self._broker.now() - self._clock()


def _same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two schedules differ by no more than the clocks' trembling."""
    if one.keys() != other.keys():
        return False
    times = ("began", "due")
    return all(one[name] == other[name] for name in one if name not in times) and all(
        abs(float(one[name]) - float(other[name])) < 0.05 for name in times
    )

"""The control loop of a node: heartbeats, the view of the cluster, and reconciliation with the desired state."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from sp500tui.cluster.broker.errors import BrokerAwayError, FencedError
from sp500tui.cluster.membership.heartbeat import REQUESTING_STAGES, Heartbeat
from sp500tui.cluster.membership.membership import short_name
from sp500tui.cluster.membership.view import (
    HEARTBEAT_TIMEOUT,
    RUN_NOW_KEY,
    ClusterView,
    pause_key,
    size_key,
    unserved_stages,
)
from sp500tui.cluster.node.broker_state import BrokerState, read_state
from sp500tui.cluster.node.snapshot import counted_items, own_workers
from sp500tui.cluster.node.wiring import NodeComponents
from sp500tui.cluster.scheduling.leader_election import LeaseResult
from sp500tui.cluster.shared.throttle import peers
from sp500tui.config.settings import Settings
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.runtime.lifecycle import Emit

_log = logging.getLogger(__name__)

_HEARTBEAT_INTERVAL = 1.0
"""Seconds between two heartbeats."""
_MAX_HEARTBEAT_GAP = 3.0
"""Seconds between own heartbeats after which missing ones of other nodes are ignored: the broker was unavailable."""
ACQUAINTED_AFTER = 2 * _HEARTBEAT_INTERVAL
"""Seconds of own heartbeats after which those of nodes that joined at the same time have been read."""
_MIN_SILENCE = 3 * _HEARTBEAT_INTERVAL
"""Seconds, by this node's clock, without a heartbeat of a node before it is evicted: the broker's clock may jump."""
_ORPHAN_CHECK_INTERVAL = 30.0
"""Seconds between two checks for orphaned entries."""
_FRONTEND_INTERVAL = 0.25
_POLL_INTERVAL = 0.5
"""Seconds between two readings of the queues and the ledger, with and without a front end."""
_UNSERVED_BEATS = 10
"""Heartbeats after which a stage that no node runs is logged."""


class ControlLoop:
    """Runs in the node's own thread; `view`, `state` and `desired` may be used from any thread."""

    def __init__(
        self,
        settings: Settings,
        components: NodeComponents,
        name: str,
        *,
        emit: Emit,
        heartbeat: Callable[[], Heartbeat],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._components = components
        self._name = name
        self._emit = emit
        self._heartbeat = heartbeat
        self.has_frontend = not settings.no_ui
        """Whether the workers of all nodes are read, and the broker is polled more often."""
        self._desired_lock = threading.Lock()
        self._unsent: dict[str, str] = {}
        """Values set here that are not on the broker yet."""
        self._pending: dict[str, str] = {}
        """Values set here that may not be in the view yet."""
        self._heartbeat_due = self._poll_due = 0.0
        self._clock = clock
        self._orphan_check_due = clock() + _ORPHAN_CHECK_INTERVAL
        self._last_heartbeat = self._connected_since = -math.inf
        """Monotonic times of the last heartbeat, and of the first one of the current uninterrupted series."""
        self._heard: dict[str, tuple[float, float]] = {}
        """Time of each node's last heartbeat, and the monotonic time at which it was first read."""
        self.alone = False
        """Whether this node was the first of the cluster, which starts with its settings."""
        self._has_led = False
        self._unserved_for: dict[StageName, int] = {}
        """Number of heartbeats for which no node has run a needed stage."""
        self.leaving = False
        """Whether the node is draining: it takes no new work."""
        self.joined_at = 0
        """Number of the last cycle before this node joined."""
        self.view = ClusterView()
        self.state: BrokerState | None = None

    # --- desired state ------------------------------------------------------------------------------------------

    def set_desired(self, name: str, value: str) -> None:
        """Set a desired value for all nodes; effective on this node immediately. Does not block; any thread."""
        with self._desired_lock:
            self._pending[name] = self._unsent[name] = value

    def desired(self, name: str) -> str:
        """A desired value: the last one set here, else the one on the broker; empty when unset."""
        return self._pending.get(name, self.view.desired.get(name, ""))

    def _send_desired(self) -> None:
        with self._desired_lock:
            values, self._unsent = self._unsent, {}
        if not values:
            return
        try:
            self._components.membership.set_desired(values)
        except BrokerAwayError:
            with self._desired_lock:
                # A value set in the meantime is newer.
                self._unsent = values | self._unsent
            raise
        self._heartbeat_due = 0.0

    # --- the loop -----------------------------------------------------------------------------------------------

    def join(self) -> None:
        """Join the cluster.

        Raises:
            ConfigurationError: a node runs another version.
            BrokerError: the broker cannot be used.
        """
        components = self._components
        view = components.membership.join()
        self.alone = not view.alive()
        components.cycles.follow(view.cycle)
        self.joined_at = components.cycles.number
        components.cycles.count_from(self.joined_at)
        components.membership.set_desired(
            {size_key(self._name, name): str(stage.size) for name, stage in components.stages.items()}
            | ({RUN_NOW_KEY: "1"} if components.bounded else {})
        )
        self.view = view
        self.run_once()

    def run_once(self) -> None:
        """Run the tasks that are due; each waits at most two seconds for an unavailable broker."""
        now = self._clock()
        try:
            self._send_desired()
            if now >= self._heartbeat_due:
                self._heartbeat_due = now + _HEARTBEAT_INTERVAL
                self._send_heartbeat()
            if now >= self._poll_due:
                self._poll_due = now + (_FRONTEND_INTERVAL if self.has_frontend else _POLL_INTERVAL)
                self._read_state()
            if now >= self._orphan_check_due:
                self._orphan_check_due = now + _ORPHAN_CHECK_INTERVAL
                for queue in self._components.queues:
                    queue.requeue_orphans()
        except BrokerAwayError:
            # Reported by the broker's health, with a countdown.
            return
        except FencedError as error:
            _log.warning("%s", error)

    def _send_heartbeat(self) -> None:
        components, membership = self._components, self._components.membership
        if membership.heartbeat(self._heartbeat(), own_workers(components, self._name)):
            _log.warning("this node was evicted by its peers; its leases were reassigned")
            membership.set_desired(
                {size_key(self._name, name): str(stage.size) for name, stage in components.stages.items()}
            )
        now = self._clock()
        if now - self._last_heartbeat > _MAX_HEARTBEAT_GAP:
            self._connected_since = now
        self._last_heartbeat = now
        view = membership.view(details=self.has_frontend)
        before, self.view = self.view, view
        with self._desired_lock:
            if not self._unsent:
                self._pending.clear()
        if not self.leaving:
            self._schedule(view)
            self._reconcile(view)
        self._sync_shared_state(view)
        self._evict_unresponsive(view)
        self._emit_membership_events(before, view)
        self._warn_unserved_stages(view)

    def _schedule(self, view: ClusterView) -> None:
        """Become the scheduler when there is none, else follow the current one."""
        components = self._components
        if StageName.SCRAPER not in components.stages:
            components.cycles.follow(view.cycle)
            return
        result = components.lease.renew()
        if result is LeaseResult.REFUSED:
            components.cycles.follow(view.cycle)
            return
        if result is LeaseResult.NEW:
            # Read again: the last scheduler may have written until this node acquired the lease.
            reset = self.alone and not self._has_led
            components.cycles.take_over(components.membership.view(details=False).cycle, reset=reset)
            self._has_led = True
            components.lease.activate()
            self._emit(
                EventKind.SCHEDULER, f"this node starts the cycles from {components.cycles.number + 1} on"
            )
        if view.desired.get(RUN_NOW_KEY) and components.cycles.request():
            components.membership.remove_desired(RUN_NOW_KEY)
        if not view.cycle:
            components.cycles.invalidate()
        components.cycles.publish()

    def _reconcile(self, view: ClusterView) -> None:
        """Apply the desired state to this node."""
        for name, stage in self._components.stages.items():
            size = view.desired_size(self._name, name)
            if size is not None and size != stage.size and name is not StageName.SCRAPER:
                stage.scale(size)
            pause = view.desired.get(pause_key(name)) == "1"
            if pause != stage.paused:
                (stage.pause if pause else stage.resume)()
        interval = view.interval
        if interval is not None and interval != self._components.cycles.interval:
            self._components.cycles.set_interval(interval)

    def _sync_shared_state(self, view: ClusterView) -> None:
        """Merge the state published by other nodes."""
        components = self._components
        first = min(view.running(StageName.HISTORY), default="")
        knows_others = self._clock() - self._connected_since >= ACQUAINTED_AFTER
        components.leads_history = knows_others and self._name == first
        components.fx.merge(view.rates)
        components.missing.merge(view.missing)
        components.current_constituents.refresh_from(view.list_version)
        if not REQUESTING_STAGES.isdisjoint(components.stages):
            group = peers(view.alive(), self._settings.fetch_group)
            components.throttle.divide(len(group))
            for beat in group:
                left = beat.held_up - view.silence(beat.name)
                if beat.name != self._name and left > 0:
                    components.throttle.hold(left, f"{beat.held_up_by} (reported by {short_name(beat.name)})")

    def _evict_unresponsive(self, view: ClusterView) -> None:
        """Evict nodes whose heartbeat has timed out.

        Not shortly after the broker was unavailable, because no heartbeat could arrive then.
        """
        now = self._clock()
        self._heard = {
            name: heard if (heard := self._heard.get(name)) is not None and heard[0] == at else (at, now)
            for name, at in view.last_seen.items()
        }
        if now - self._connected_since <= HEARTBEAT_TIMEOUT:
            return
        for name in view.unresponsive():
            if (
                name != self._name
                and now - self._heard[name][1] >= _MIN_SILENCE
                and self._components.membership.evict(name, self._components.queue_keys)
            ):
                self._heartbeat_due = 0.0

    def _read_state(self) -> None:
        components = self._components
        cycles = components.cycles
        # In this order: a state read after the scraper has put all tickers includes them.
        complete = components.lease.held and cycles.complete
        state = self.state = read_state(components.broker)
        components.stored = state.ledger.stored
        for name, stats in components.queue_stats.items():
            stats.set(state.queues[name])
        for meter in components.queue_meters:
            meter.sample()
        if components.database.ready.is_set():
            components.feed.stored(state.counters.get("stored", 0))
        if not complete:
            return
        if not state.outstanding:
            number, seconds = cycles.finish()
            components.missing.retain(components.current_constituents.symbols)
            message = f"cycle {number} finished in {seconds:.2f} s: {state.ledger.summary}"
            self._emit(EventKind.CYCLE_FINISHED, message)
        cycles.publish()

    # --- events -------------------------------------------------------------------------------------------------

    def _emit_membership_events(self, before: ClusterView, now: ClusterView) -> None:
        """Emit events about nodes that joined, left or were lost, finished cycles and a new scheduler."""
        known_nodes = {*before.heartbeats, self._name}
        lost = {node.heartbeat.name: node for node in now.lost}
        known_lost = {node.heartbeat.name for node in before.lost}
        for beat in now.alive():
            if beat.name not in known_nodes and before.time:
                self._emit(EventKind.NODE_JOINED, f"node {short_name(beat.name)} joined")
        for name in sorted(lost.keys() - known_lost) if before.time else ():
            held = ", ".join(counted_items(queue, items) for queue, items in lost[name].held.items() if items)
            self._emit(EventKind.NODE_LOST, f"node {short_name(name)} was lost; it held {held or 'no items'}")
        for name in sorted(before.heartbeats.keys() - now.heartbeats.keys() - lost.keys()):
            self._emit(EventKind.NODE_LEFT, f"node {short_name(name)} left")
        if _finished(before, now) and now.scheduler != self._name:
            number, seconds = now.cycle["number"], float(now.cycle["seconds"])
            self._emit(EventKind.CYCLE_FINISHED, f"cycle {number} finished in {seconds:.2f} s")
        if now.scheduler not in ("", before.scheduler, self._name) and before.time:
            self._emit(EventKind.SCHEDULER, f"node {short_name(now.scheduler)} starts the cycles now")

    def _warn_unserved_stages(self, view: ClusterView) -> None:
        """Log once for each stage that no node has run for a while although items are waiting."""
        depths = {name: stats.depth() for name, stats in self._components.queue_stats.items()}
        found = unserved_stages(view, depths)
        self._unserved_for = {stage: self._unserved_for.get(stage, 0) + 1 for stage in found}
        for stage, message in found.items():
            if self._unserved_for[stage] == _UNSERVED_BEATS:
                _log.warning("%s", message)


def _finished(before: ClusterView, now: ClusterView) -> bool:
    """Whether a cycle finished between two views."""
    if not before.cycle or now.cycle.get("running") != "0":
        return False
    return before.cycle["running"] == "1" or before.cycle["number"] != now.cycle["number"]

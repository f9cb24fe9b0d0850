"""What a node does beside its stages' work: it is heard, learns of the others, and does what is wanted of it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from sp500tui.cluster.broker.errors import BrokerAwayError, FencedError
from sp500tui.cluster.membership.heartbeat import Heartbeat
from sp500tui.cluster.membership.membership import short_name
from sp500tui.cluster.membership.unserved_stages import unserved_stages
from sp500tui.cluster.membership.view import HEARTBEAT_TIMEOUT, ClusterView
from sp500tui.cluster.node.broker_state import BrokerState, read_state
from sp500tui.cluster.node.snapshot import own_workers
from sp500tui.cluster.node.wiring import NodeComponents
from sp500tui.cluster.scheduling.leader_election import LeaseResult
from sp500tui.cluster.shared.throttle import peers
from sp500tui.config.settings import Settings
from sp500tui.pipeline.core.events import EventKind
from sp500tui.pipeline.core.snapshot import StageName
from sp500tui.pipeline.runtime.lifecycle import Emit

_log = logging.getLogger(__name__)

_HEARTBEAT_INTERVAL = 1.0
"""Seconds between two heartbeats."""
_GAP = 3.0
"""Seconds without a heartbeat of one's own after which the others' silence says nothing: the broker was away."""
_TIDY = 30.0
"""Seconds between two looks for leases that nobody here holds any more."""
_FRONTEND_INTERVAL = 0.25
_POLL_INTERVAL = 0.5
"""Seconds between two readings of queues and books, with and without somebody who looks at them."""
_MISSED_LONG = 10
"""Rounds after which a stage that no node runs is worth a word."""
RUN_NOW_KEY = "ask"
"""Wish for a cycle at once."""
INTERVAL = "interval"


def paused(stage: StageName) -> str:
    """The wish that a stage rests on all nodes."""
    return f"paused|{stage}"


def sized(node: str, stage: StageName) -> str:
    """The wish for a number of workers of one stage on one node."""
    return f"{node}|{stage}"


class ControlLoop:
    """Run by the node's own thread; the last readings may be looked at from any."""

    def __init__(
        self,
        settings: Settings,
        components: NodeComponents,
        name: str,
        *,
        say: Emit,
        heartbeat: Callable[[], Heartbeat],
    ) -> None:
        self._settings = settings
        self._components = components
        self._name = name
        self._say = say
        self._heartbeat = heartbeat
        self._shown = not settings.no_ui
        self._requests: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._pending: dict[str, str] = {}
        self._heartbeat_due = self._poll_due = 0.0
        self._tidy_due = time.monotonic() + _TIDY
        self._last_heartbeat = self._contact_since = -math.inf
        """Tick of the last heartbeat that reached the broker, and of the first one without a gap since."""
        self.alone = False
        """Whether nobody was there before this node: its settings begin the cluster's life."""
        self._has_led = False
        self._missed: dict[StageName, int] = {}
        """For how many rounds no node has run a stage that is needed."""
        self.leaving = False
        """Whether the node only finishes what it has in hand."""
        self.joined_at = 0
        """Number of the cycle that was the last one when this node joined."""
        self.roll = ClusterView()
        self.state: BrokerState | None = None

    # --- wishes -------------------------------------------------------------------------------------------------

    def wish(self, name: str, value: str) -> None:
        """Have a desired value set for all nodes; counts here at once. Returns at once, from any thread."""
        self._pending[name] = value
        self._requests.put((name, value))

    def wanted(self, name: str) -> str:
        """A desired value, as wished here last or as the broker has it; empty without one."""
        return self._pending.get(name, self.roll.requests.get(name, ""))

    def _send_requests(self) -> None:
        requests: dict[str, str] = {}
        while True:
            try:
                name, value = self._requests.get_nowait()
            except Empty:
                break
            requests[name] = value
        if not requests:
            return
        try:
            self._components.membership.wish(requests)
        except BrokerAwayError:
            for pair in requests.items():
                self._requests.put(pair)
            raise
        self._heartbeat_due = 0.0

    # --- the rounds ---------------------------------------------------------------------------------------------

    def join(self) -> None:
        """Become one of the nodes.

        Raises:
            ConfigurationError: a node of another version is there.
            BrokerError: the broker cannot be used.
        """
        components = self._components
        roll = components.membership.join()
        self.alone = not roll.alive()
        components.cycles.follow(roll.cycle)
        self.joined_at = components.cycles.number
        components.cycles.count_from(self.joined_at)
        components.membership.wish(
            {sized(self._name, name): str(stage.size) for name, stage in components.stages.items()}
            | ({RUN_NOW_KEY: "1"} if components.bounded else {})
        )
        self.roll = roll
        self.look()

    def look(self) -> None:
        """Do what is due; nothing of it waits long for a broker that is away."""
        now = time.monotonic()
        try:
            self._send_requests()
            if now >= self._heartbeat_due:
                self._heartbeat_due = now + _HEARTBEAT_INTERVAL
                self._beat()
            if now >= self._poll_due:
                self._poll_due = now + (_FRONTEND_INTERVAL if self._shown else _POLL_INTERVAL)
                self._read()
            if now >= self._tidy_due:
                self._tidy_due = now + _TIDY
                for queue in (self._components.tickers, self._components.quotes, self._components.rows):
                    queue.requeue_orphans()
        except BrokerAwayError:
            # Told by the broker's own health, with the countdown.
            return
        except FencedError as error:
            _log.warning("%s", error)

    def _beat(self) -> None:
        components, membership = self._components, self._components.membership
        if membership.beat(self._heartbeat(), own_workers(components, self._name)):
            _log.warning("the other nodes had given this one up; what it held is theirs now")
            membership.wish(
                {sized(self._name, name): str(stage.size) for name, stage in components.stages.items()}
            )
        now = time.monotonic()
        if now - self._last_heartbeat > _GAP:
            self._contact_since = now
        self._last_heartbeat = now
        roll = membership.roll(details=self._shown)
        before, self.roll = self.roll, roll
        if self._requests.empty():
            self._pending.clear()
        if not self.leaving:
            self._schedule(roll)
            self._reconcile(roll)
        self._sync_shared_state(roll)
        self._evict_unresponsive(roll)
        self._emit_membership_events(before, roll)
        self._warn_unserved_stages(roll)

    def _schedule(self, roll: ClusterView) -> None:
        """Be the scheduler where nobody is, else follow the one there is."""
        components = self._components
        if StageName.SCRAPER not in components.stages:
            components.cycles.follow(roll.cycle)
            return
        grant = components.lease.renew()
        if grant is LeaseResult.REFUSED:
            components.cycles.follow(roll.cycle)
            return
        if grant is LeaseResult.NEW:
            # Read again: the last scheduler may have written until the lease was ours.
            anew = self.alone and not self._has_led
            components.cycles.take_over(components.membership.roll(details=False).cycle, anew=anew)
            self._has_led = True
            components.lease.confirm()
            self._say(
                EventKind.SCHEDULER, f"this node starts the cycles from {components.cycles.number + 1} on"
            )
        if roll.requests.get(RUN_NOW_KEY) and components.cycles.request():
            components.membership.remove_requests(RUN_NOW_KEY)
        if not roll.cycle:
            components.cycles.publish_again()
        components.cycles.publish()

    def _reconcile(self, roll: ClusterView) -> None:
        """Do what is wanted of this node."""
        for name, stage in self._components.stages.items():
            size = roll.wanted(self._name, name)
            if size is not None and size != stage.size and name is not StageName.SCRAPER:
                stage.scale(size)
            rest = roll.requests.get(paused(name)) == "1"
            if rest != stage.paused:
                (stage.pause if rest else stage.resume)()
        interval = roll.interval
        if interval is not None and interval != self._components.cycles.interval:
            self._components.cycles.set_interval(interval)

    def _sync_shared_state(self, roll: ClusterView) -> None:
        """Take over what other nodes found out."""
        components = self._components
        components.fx.adopt(roll.rates)
        components.missing.adopt(roll.missing)
        components.current_constituents.look(roll.list_version)
        if StageName.PRICE in components.stages:
            group = peers(roll.alive(), self._settings.fetch_group)
            components.throttle.divide(len(group))
            for beat in group:
                left = beat.held_up - roll.silence(beat.name)
                if beat.name != self._name and left > 0:
                    components.throttle.hold(left, f"{beat.held_up_by} (heard by {short_name(beat.name)})")

    def _evict_unresponsive(self, roll: ClusterView) -> None:
        """Take from nodes that are not heard any more what they hold.

        Not soon after the broker was away: nobody was heard then.
        """
        if time.monotonic() - self._contact_since <= HEARTBEAT_TIMEOUT:
            return
        for name in roll.unresponsive():
            if name != self._name and self._components.membership.evict(name, self._components.queue_keys):
                self._heartbeat_due = 0.0

    def _read(self) -> None:
        components = self._components
        cycles = components.cycles
        # In this order: once the scraper has put everything, what the broker says afterwards holds it all.
        complete = components.lease.held and cycles.complete
        state = self.state = read_state(components.broker)
        for name, dial in components.dials.items():
            dial.set(state.queues[name])
        for meter in components.queue_meters:
            meter.sample()
        if components.database.ready.is_set():
            components.feed.stored(state.counters.get("stored", 0))
        if not complete:
            return
        if not state.outstanding:
            seconds = cycles.finish()
            components.missing.forget_unless(components.current_constituents.symbols)
            message = f"cycle {cycles.number} finished in {seconds:.2f} s: {state.ledger.brief}"
            self._say(EventKind.CYCLE_FINISHED, message)
        cycles.publish()

    # --- what is told -------------------------------------------------------------------------------------------

    def _emit_membership_events(self, before: ClusterView, now: ClusterView) -> None:
        """Tell this node's listeners what became of the others."""
        were = {*before.heartbeats, self._name}
        lost = {node.beat.name: node for node in now.lost}
        known = {node.beat.name for node in before.lost}
        for beat in now.alive():
            if beat.name not in were and before.time:
                self._say(EventKind.NODE_JOINED, f"node {short_name(beat.name)} joined")
        for name in sorted(lost.keys() - known) if before.time else ():
            held = ", ".join(f"{items:,} {queue}" for queue, items in lost[name].held.items() if items)
            self._say(EventKind.NODE_LOST, f"node {short_name(name)} was lost; it held {held or 'nothing'}")
        for name in sorted(before.heartbeats.keys() - now.heartbeats.keys() - lost.keys()):
            self._say(EventKind.NODE_LEFT, f"node {short_name(name)} left")
        if _finished(before, now) and now.scheduler != self._name:
            number, seconds = now.cycle["number"], float(now.cycle["seconds"])
            self._say(EventKind.CYCLE_FINISHED, f"cycle {number} finished in {seconds:.2f} s")
        if now.scheduler not in ("", before.scheduler, self._name) and before.time:
            self._say(EventKind.SCHEDULER, f"node {short_name(now.scheduler)} starts the cycles now")

    def _warn_unserved_stages(self, roll: ClusterView) -> None:
        """Say once of each stage that it should be run by somebody, where that lasts."""
        found = unserved_stages(roll, {name: dial.depth() for name, dial in self._components.dials.items()})
        self._missed = {stage: self._missed.get(stage, 0) + 1 for stage in found}
        for stage, words in found.items():
            if self._missed[stage] == _MISSED_LONG:
                _log.warning("%s", words)


def _finished(before: ClusterView, now: ClusterView) -> bool:
    """Whether a cycle came to its end between two rolls."""
    if not before.cycle or now.cycle.get("running") != "0":
        return False
    return before.cycle["running"] == "1" or before.cycle["number"] != now.cycle["number"]

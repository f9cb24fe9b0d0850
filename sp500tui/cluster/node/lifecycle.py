"""Lifecycle of a node: joining the cluster, running its stages, draining and leaving."""

from __future__ import annotations

import logging
import socket
import time
from functools import partial

from sp500tui.cluster.broker.errors import BrokerAwayError, BrokerError
from sp500tui.cluster.membership.heartbeat import Heartbeat
from sp500tui.cluster.node.control_loop import ControlLoop
from sp500tui.cluster.node.snapshot import heartbeat_of
from sp500tui.cluster.node.wiring import NodeComponents
from sp500tui.cluster.shared.demo_seed import share_demo_seed
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import Health, Phase
from sp500tui.pipeline.runtime.lifecycle import POLL_INTERVAL, ClosingStep, Emit, Lifecycle
from sp500tui.pipeline.runtime.sources import Sources

_log = logging.getLogger(__name__)

_SHUTDOWN_GRACE = 5.0
"""Seconds for releasing leases before the node leaves without doing so; they are requeued at its eviction."""
_RELEASE_ATTEMPTS = 3


class NodeLifecycle(Lifecycle):
    """The node's thread: it starts the stages, runs the control loop, and stops the stages."""

    components: NodeComponents
    control_loop: ControlLoop

    def __init__(self, settings: Settings, paths: Paths, name: str, *, emit: Emit) -> None:
        super().__init__("node", emit, what="the node")
        self._settings = settings
        self._paths = paths
        self._name = name
        self._host = socket.gethostname()
        self._started = time.monotonic()
        self.joined_with: Ledger | None = None
        """The ledger when this node joined."""
        self.joined_at = 0
        """Number of the last cycle before this node joined."""

    def stop(self, level: ShutdownLevel) -> None:
        """Escalate the shutdown; the leases of this node go to other nodes."""
        super().stop(level)
        if level is ShutdownLevel.KILL:
            self.components.broker.abandon()

    def heartbeat(self) -> Heartbeat:
        """This node's current heartbeat."""
        database = self.components.database
        return heartbeat_of(
            self.components,
            name=self._name,
            host=self._host,
            uptime=time.monotonic() - self._started,
            phase=self.phase,
            group=self._settings.fetch_group,
            trouble=database.message if self.components.uses_database and database.down else "",
        )

    def _serve(self) -> None:
        if self._join():
            self._open()
            self._work()

    def _join(self) -> bool:
        """Connect to the broker and join; False when stopped before."""
        components = self.components
        fail_fast = self._settings.no_ui and components.bounded
        components.broker.open(
            retry_for=0.0 if fail_fast else None, cancelled=lambda: self.level is not ShutdownLevel.NONE
        )
        while self.level is ShutdownLevel.NONE:
            try:
                self.control_loop.join()
            except BrokerAwayError:
                if fail_fast:
                    raise
                self._wake.wait(1.0)
            else:
                return True
        return False

    def _open(self) -> None:
        components = self.components
        if self.control_loop.state is not None:
            self.joined_with = self.control_loop.state.ledger
            self.joined_at = self.control_loop.joined_at
        if components.uses_database:
            components.database_monitor.thread.start()
        if StageName.WRITER in components.stages:
            components.stages[StageName.WRITER].start()
        if components.uses_sources:
            components.sources = self._open_sources()
        if components.uses_database:
            self._wait_for_database(self._poll)
        if self.failure or self.level is not ShutdownLevel.NONE:
            return
        for name in (StageName.CONVERTER, StageName.PRICE, StageName.SCRAPER):
            if name in components.stages:
                components.stages[name].start()
        if not self._settings.no_ui:
            self.watch()
        self._open_market_clock()
        if StageName.HISTORY in components.stages and components.maintenance.required:
            components.maintenance.start()
        self._enter(Phase.RUNNING)

    def watch(self) -> None:
        """Start reading the workers of the other nodes and, if this node has a database, their prices."""
        self.control_loop.has_frontend = True
        if self.components.uses_database:
            self.components.feed.thread.ensure_started()

    def _open_sources(self) -> Sources:
        """Open the data sources, in a demo with the market parameters shared by all nodes."""
        settings, throttle = self._settings, self.components.throttle
        if not settings.demo:
            return Sources.open(settings, self._paths, throttle)
        shared = share_demo_seed(self.components.broker, settings, reset=self.control_loop.alone)
        seeded = settings.model_copy(update={"market_seed": shared.seed})
        return Sources.open(seeded, self._paths, throttle, start_at=shared.start_at)

    def _work(self) -> None:
        """Run until the last planned cycle has finished, a stop is requested or the node fails."""
        while not (self._done() or self.level is not ShutdownLevel.NONE or self.failure):
            self._wake.wait(POLL_INTERVAL)
            self._poll()

    def _done(self) -> bool:
        components, duration = self.components, self._settings.duration
        if self._no_more_cycles.is_set() or components.cycles.fulfilled:
            return True
        expired = duration is not None and time.monotonic() - self._started >= duration
        return expired and not components.cycles.running

    def _poll(self) -> None:
        self._record_progress()
        for stage in self.components.stages.values():
            stage.replace_hung_workers()
        self._wake_writers_without_process()
        self._report_episodes()
        self._run_guarded(self.components.serve_history)
        self.components.seconds.roll()
        self.components.watches.report_pending()
        try:
            self.control_loop.run_once()
        except BrokerError as error:
            # Unlike unavailability, which the control loop tolerates, this needs an operator.
            self.fail(error)

    def _drain(self) -> None:
        """Take no new work, finish the current leases and leave; queued items remain for the other nodes."""
        components = self.components
        if self.failure:
            self.level = max(self.level, ShutdownLevel.SPOOL)
        self._run_guarded(partial(self._enter, Phase.DRAINING))
        self.control_loop.leaving = True
        deadline = time.monotonic() + self._settings.drain_timeout
        for stage in components.stages.values():
            stage.shutdown_now()
        if components.sources is not None:
            components.sources.yahoo.cancel_waits()
        for name in components.stages:
            self._run_guarded(partial(self._await, name, deadline))
        if self.level is not ShutdownLevel.KILL:
            self._deregister()

    def _await(self, name: StageName, deadline: float) -> None:
        """Wait until a stage has ended; release its leases after the deadline or on request.

        While the broker is unavailable the deadline is short, because no lease can be completed.
        """
        abandon_at: float | None = None
        early_deadline = time.monotonic() + _SHUTDOWN_GRACE
        while not self.components.stages[name].join(POLL_INTERVAL):
            self._run_guarded(self._poll)
            now = time.monotonic()
            if self.level is ShutdownLevel.KILL:
                return
            late = now > (early_deadline if self.components.broker.health()[0] is Health.DOWN else deadline)
            if abandon_at is None and (self.level >= ShutdownLevel.SPOOL or late):
                self._release_leases()
                abandon_at = now + _SHUTDOWN_GRACE
            if abandon_at is not None and now > abandon_at:
                self.components.broker.abandon()
            if abandon_at is not None and now > abandon_at + _SHUTDOWN_GRACE:
                _log.error("the %s stage did not end in time; it is abandoned", name)
                return

    def _release_leases(self) -> None:
        components = self.components
        if components.writer_stage.spooling_since is None:
            self._enter(Phase.SPOOLING)
            for stage in components.stages.values():
                stage.expedite()
            components.writer_stage.spooling_since = time.monotonic()
            # Leases that cannot be released are requeued when this node is evicted.
            ServiceThread("release-leases", components.release_leases, attempts=_RELEASE_ATTEMPTS).start()

    def _deregister(self) -> None:
        components = self.components
        if self.control_loop.state is None:
            return
        try:
            for act in (components.release_all_leases, components.membership.deregister):
                self._run_guarded(act, reraise=(BrokerAwayError,))
        except BrokerAwayError as error:
            _log.warning(
                "could not deregister (%s); the other nodes will evict this node after its heartbeat timeout",
                error,
            )
            return
        if left := self.control_loop.state.outstanding:
            _log.info("%d items remain on the broker for the other nodes", left)

    def _closing_steps(self) -> list[ClosingStep]:
        components = self.components
        steps: list[ClosingStep] = []
        if self.market_clock is not None:
            steps.append(("the market clock", self.market_clock.close))
        steps.append(("the reports of the sources", components.watches.close))
        steps.append(("the price feed", components.feed.close))
        drain = self.level < ShutdownLevel.SPOOL
        steps.append(("the history", partial(components.maintenance.close, drain=drain)))
        if self.level is not ShutdownLevel.KILL and components.uses_database:
            steps.append(("the database", components.database_monitor.close))
        if components.sources is not None:
            steps.append(("the sources", components.sources.close))
        steps.append(("the broker", components.broker.close))
        return steps

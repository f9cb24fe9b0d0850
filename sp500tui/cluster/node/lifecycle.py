"""The life of a node: how it joins the others, how long it stays, and how it leaves."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from functools import partial

from sp500tui.cluster.broker.errors import BrokerAwayError, BrokerError
from sp500tui.cluster.membership.heartbeat import Heartbeat
from sp500tui.cluster.node.control_loop import ControlLoop
from sp500tui.cluster.node.snapshot import heartbeat_of
from sp500tui.cluster.node.wiring import NodeComponents
from sp500tui.cluster.shared.demo_seed import agree
from sp500tui.config.paths import Paths
from sp500tui.config.settings import Settings
from sp500tui.pipeline.api import ShutdownLevel
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import Health, Ledger, Phase, StageName
from sp500tui.pipeline.runtime.lifecycle import POLL_INTERVAL, ClosingStep, Emit, Lifecycle
from sp500tui.pipeline.runtime.sources import Sources

_log = logging.getLogger(__name__)

Connect = Callable[..., Sources]
"""`Sources.open`, or a test's own."""
_SHUTDOWN_GRACE = 5.0
"""Seconds that giving leases back may take before the node leaves without: the others find them then."""
_GIVE_BACK_ATTEMPTS = 3


class NodeLifecycle(Lifecycle):
    """One thread that starts the stages, makes the rounds, and ends them."""

    components: NodeComponents
    rounds: ControlLoop

    def __init__(self, settings: Settings, paths: Paths, name: str, *, connect: Connect, say: Emit) -> None:
        super().__init__("node", say, what="the node")
        self._settings = settings
        self._paths = paths
        self._name = name
        self._connect = connect
        self._host = socket.gethostname()
        self._started = time.monotonic()
        self.joined_with: Ledger | None = None
        """The books as this node found them."""
        self.joined_at = 0
        """Number of the cycle that was the last one then."""

    def stop(self, step: ShutdownLevel) -> None:
        """Climb the stop ladder; what this node holds goes to the others."""
        super().stop(step)
        if step is ShutdownLevel.KILL:
            self.components.broker.abandon()

    def heartbeat(self) -> Heartbeat:
        """What this node tells of itself now."""
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

    def _stay(self) -> None:
        if self._join():
            self._open()
            self._work()

    def _join(self) -> bool:
        """Reach the broker and become one of the nodes; False when somebody stopped it first."""
        components = self.components
        impatient = self._settings.no_ui and components.bounded
        components.broker.open(
            patience=0.0 if impatient else None, cancelled=lambda: self.step is not ShutdownLevel.NONE
        )
        while self.step is ShutdownLevel.NONE:
            try:
                self.rounds.join()
            except BrokerAwayError:
                if impatient:
                    raise
                self._wake.wait(1.0)
            else:
                return True
        return False

    def _open(self) -> None:
        components = self.components
        if self.rounds.state is not None:
            self.joined_with = self.rounds.state.ledger
            self.joined_at = self.rounds.joined_at
        if components.uses_database:
            components.database_monitor.thread.start()
        if StageName.WRITER in components.stages:
            components.stages[StageName.WRITER].start()
        if components.fetches_prices:
            components.sources = self._reach_sources()
        self._wait_for_database()
        if self.failure or self.step is not ShutdownLevel.NONE:
            return
        for name in (StageName.CONVERTER, StageName.PRICE, StageName.SCRAPER):
            if name in components.stages:
                components.stages[name].start()
        if not self._settings.no_ui:
            components.feed.thread.start()
            self._open_market_clock()
        self._enter(Phase.RUNNING)

    def _reach_sources(self) -> Sources:
        """The outside world, or a demo market that walks as those of the other nodes do."""
        settings, throttle = self._settings, self.components.throttle
        if not settings.demo:
            return self._connect(settings, self._paths, throttle)
        walk = agree(self.components.broker, settings, anew=self.rounds.alone)
        alike = settings.model_copy(update={"market_seed": walk.seed})
        return self._connect(alike, self._paths, throttle, start_at=walk.start_at)

    def _wait_for_database(self) -> None:
        """Wait for the first attempt to open it: nothing is fetched for a URL that turns out to be a slip."""
        if self.components.uses_database:
            while (
                not self.components.database_monitor.first_attempt_done.wait(POLL_INTERVAL)
                and self.step is ShutdownLevel.NONE
            ):
                self._poll()

    def _work(self) -> None:
        """Stay until this node's last cycle is done or somebody wants the end."""
        while not (self._done() or self.step is not ShutdownLevel.NONE or self.failure):
            self._wake.wait(POLL_INTERVAL)
            self._poll()

    def _done(self) -> bool:
        components, duration = self.components, self._settings.duration
        if self._no_more_cycles.is_set() or components.cycles.fulfilled:
            return True
        over = duration is not None and time.monotonic() - self._started >= duration
        return over and not components.cycles.running

    def _poll(self) -> None:
        for stage in self.components.stages.values():
            stage.replace_hung_workers()
        self.components.watches.report_pending()
        try:
            self.rounds.look()
        except BrokerError as error:
            # Not merely away, which the rounds bear: only a person can mend it.
            self.fail(error)

    def _drain(self) -> None:
        """Take nothing new, finish what is in hand, and say goodbye; what is queued is the other nodes'."""
        components = self.components
        if self.failure:
            self.step = max(self.step, ShutdownLevel.SPOOL)
        self._guard(partial(self._enter, Phase.DRAINING))
        self.rounds.leaving = True
        deadline = time.monotonic() + self._settings.drain_timeout
        for stage in components.stages.values():
            stage.shutdown_now()
        for name in components.stages:
            self._guard(partial(self._await, name, deadline))
        if self.step is not ShutdownLevel.KILL:
            self._deregister()

    def _await(self, name: StageName, deadline: float) -> None:
        """Wait until a stage is empty; past the deadline, or when asked to, give its leases back.

        A broker that is away makes the deadline come soon: nothing can be finished without it.
        """
        give_up: float | None = None
        soon = time.monotonic() + _SHUTDOWN_GRACE
        while not self.components.stages[name].join(POLL_INTERVAL):
            self._guard(self._poll)
            now = time.monotonic()
            if self.step is ShutdownLevel.KILL:
                return
            late = now > (soon if self.components.broker.health()[0] is Health.DOWN else deadline)
            if give_up is None and (self.step >= ShutdownLevel.SPOOL or late):
                self._let_go()
                give_up = now + _SHUTDOWN_GRACE
            if give_up is not None and now > give_up:
                self.components.broker.abandon()
            if give_up is not None and now > give_up + _SHUTDOWN_GRACE:
                _log.error("the %s stage did not end in time; it is abandoned", name)
                return

    def _let_go(self) -> None:
        components = self.components
        if components.writer_stage.spooling_since is None:
            self._enter(Phase.SPOOLING)
            for stage in components.stages.values():
                stage.expedite()
            components.writer_stage.spooling_since = time.monotonic()
            # What cannot be given back, the other nodes find once this one is silent.
            ServiceThread("give-back", components.release_leases, attempts=_GIVE_BACK_ATTEMPTS).start()

    def _deregister(self) -> None:
        components = self.components
        if self.rounds.state is None:
            return
        try:
            for act in (components.release_all_leases, components.membership.deregister):
                self._guard(act, reraise=(BrokerAwayError,))
        except BrokerAwayError as error:
            _log.warning(
                "left without telling the other nodes, which notice it after a few seconds: %s", error
            )
            return
        if left := self.rounds.state.outstanding:
            _log.info("%d items wait on the broker for the other nodes", left)

    def _closing_steps(self) -> list[ClosingStep]:
        components = self.components
        steps: list[ClosingStep] = []
        if self.market_clock is not None:
            steps.append(("the market clock", self.market_clock.close))
        steps.append(("the reports of the sources", components.watches.close))
        steps.append(("the price feed", components.feed.close))
        if self.step is not ShutdownLevel.KILL and components.uses_database:
            steps.append(("the database", components.database_monitor.close))
        if components.sources is not None:
            steps.append(("the sources", components.sources.close))
        steps.append(("the broker", components.broker.close))
        return steps

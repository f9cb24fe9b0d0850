"""The tour: real faults of the demo market on a schedule, announced one by one, and all reset at the end."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sp500tui.config.keys import KEYS_BY_ID
from sp500tui.config.settings import Settings
from sp500tui.errors import Sp500tuiError
from sp500tui.pipeline.api import FaultInjector, PipelineControl, clamp_workers
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.service_thread import ServiceThread
from sp500tui.pipeline.core.snapshot import Phase, WorkerState
from sp500tui.tui.demo.faults import FAULTS, OUTAGE_SECONDS, FaultOption
from sp500tui.tui.demo.render import writer_to_kill
from sp500tui.tui.render.formats import count, span

LOG = logging.getLogger(__name__)
PREFIX = "tour: "
"""Begins every announcement."""
INTRODUCTION = "two minutes of faults; any key ends and undoes them"
ADDED_WORKERS = 6
BURST_INTERVAL = 0.5
_CALM = 60.0
"""Seconds between rounds."""
_FAULT_SECONDS = 10.0
_EVERY = 20.0
"""Seconds between the faults of a later round."""
_FAULTS_PER_ROUND = 4
_KILL_WITHIN = 5.0
"""Seconds to wait for a writer that is committing."""
_LATER_FAULTS = tuple(
    option
    for option in FAULTS
    if option.counter
    in {
        "server_error",
        "drop",
        "html",
        "garbage",
        "truncated_body",
        "slow_body",
        "nan_price",
        "missing_symbol",
    }
)


@dataclass(frozen=True, slots=True)
class TourStep:
    """One announced change."""

    at: float
    """Seconds since the start of the round."""
    text: str
    """The announcement; empty for a step that announces its own result."""
    act: Callable[[Tour], str | None]
    """Makes the change; returns what is announced in place of `text`, if anything."""


class Tour:
    """Runs the schedule until it is stopped; `run` blocks and needs its own thread.

    Args:
        pipeline: The pipeline of the demo.
        market: Its faults.
        seed: Determines the faults of the later rounds.
        clock: Monotonic seconds.
        wait: Waits some seconds, by default until `stop` is called; returns whether the tour was stopped.
        faults_key: The key that opens the faults, for the summary of a round.
    """

    def __init__(
        self,
        pipeline: PipelineControl,
        market: FaultInjector,
        *,
        seed: int,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
        faults_key: str = "3",
    ) -> None:
        self.pipeline = pipeline
        self.market = market
        self.rng = random.Random(seed)  # noqa: S311  # a choice of faults, not a secret
        self._clock = clock
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._faults_key = faults_key
        snapshot = pipeline.snapshot()
        self.interval = snapshot.cycle.interval
        self._workers = snapshot.stage(StageName.PRICE).size
        self._faults: Mapping[str, object] = {}

    def stop(self) -> None:
        """Request the end; `run` resets everything and returns."""
        self._stopped.set()

    def run(self) -> None:
        """Perform the rounds one after another, and reset everything in any case."""
        try:
            self._faults = dict(self.market.faults())
            self.announce(INTRODUCTION)
            while self._round(first_round()) and self._round(later_round(self.rng)):
                pass
        except Sp500tuiError as error:
            self.announce(f"stopped: {error}")
        finally:
            self._restore()

    def _round(self, steps: Iterator[TourStep]) -> bool:
        """Perform a round; False when the tour was stopped or the pipeline ends."""
        start = self._clock()
        for step in steps:
            if self._wait(max(0.0, start + step.at - self._clock())) or not self._is_running():
                return False
            if step.text:
                self.announce(step.text)
            if result := step.act(self):
                self.announce(result)
        return not self._wait(_CALM)

    def _is_running(self) -> bool:
        return self.pipeline.snapshot().phase in (Phase.RUNNING, Phase.PAUSED)

    def announce(self, text: str) -> None:
        """Report a step as an event of the pipeline. A pipeline that does not answer is ignored until the next step."""
        try:
            self.pipeline.announce(PREFIX + text)
        except Sp500tuiError as error:
            LOG.warning("%s%s: not reported: %s", PREFIX, text, error)

    def set_faults(self, **faults: object) -> None:
        """Set exactly these faults in addition to those that were on before the tour."""
        self.market.set_faults(**{**self._faults, **faults})

    def set_interval(self, seconds: float) -> None:
        """Set the interval between cycles."""
        self.pipeline.set_interval(seconds)

    def add_workers(self, number: int) -> None:
        """Run this many more price workers than before the tour."""
        self.pipeline.scale(StageName.PRICE, clamp_workers(self._workers + number))

    def kill_writer(self) -> str:
        """Kill a writer, if possible while it commits; returns what happened."""
        deadline = self._clock() + _KILL_WITHIN
        while True:
            snapshot = self.pipeline.snapshot()
            name = writer_to_kill(snapshot)
            busy = any(w.name == name and w.state is WorkerState.BUSY for w in snapshot.workers)
            late = self._clock() >= deadline
            if name is not None and (busy or late):
                killed = self.pipeline.kill_worker(name)
                doing = "while it committed" if busy else "while it was idle"
                return f"{name} killed {doing}" if killed else f"{name} had no process to kill"
            if late or self._wait(0.01):
                return "no writer to kill"

    def stop_database(self) -> str | None:
        """Stop the embedded database for some seconds; returns why that is impossible."""
        stopped = self.pipeline.stop_database(OUTAGE_SECONDS)
        return None if stopped else "the database was given by URL and is not stopped"

    def summary(self) -> str:
        """The state after a round."""
        ledger = self.pipeline.snapshot().ledger
        adds_up = "adds up ✓" if ledger.is_balanced else "does not add up ✗"
        done = f"{count(ledger.fetched)} fetched, {adds_up}"
        return f"faults over: {done}; {self._faults_key} injects faults"

    def _restore(self) -> None:
        """Reset faults, interval and workers. A failure is logged and does not prevent the rest."""
        for what, restore in (
            ("faults", lambda: self.market.set_faults(**self._faults)),
            ("interval", lambda: self.pipeline.set_interval(self.interval)),
            ("workers", lambda: self.pipeline.scale(StageName.PRICE, self._workers)),
        ):
            try:
                restore()
            except Sp500tuiError as error:
                LOG.warning("%s%s not set back: %s", PREFIX, what, error)
        self.announce("over: faults, interval and workers are as before")


def first_round() -> Iterator[TourStep]:
    """The same faults in every tour."""
    outage, added = span(OUTAGE_SECONDS), ADDED_WORKERS
    yield TourStep(
        20, f"a cycle every {span(BURST_INTERVAL)} for 6 s", lambda tour: tour.set_interval(BURST_INTERVAL)
    )
    yield TourStep(26, "the interval is as before", lambda tour: tour.set_interval(tour.interval))
    yield TourStep(
        40, "Yahoo answers 500 ms later for 12 s", lambda tour: tour.set_faults(latency=0.5, jitter=0.1)
    )
    yield TourStep(46, f"{added} price workers added", lambda tour: tour.add_workers(added))
    yield TourStep(52, "Yahoo answers as before", lambda tour: tour.set_faults())
    yield TourStep(58, f"the {added} price workers removed", lambda tour: tour.add_workers(0))
    yield TourStep(65, "", Tour.kill_writer)
    yield TourStep(85, f"the database is stopped for {outage}", Tour.stop_database)
    yield TourStep(
        110,
        f"Yahoo answers 10 % of the requests with 429 for {span(_FAULT_SECONDS)}",
        lambda tour: tour.set_faults(throttle=0.1, retry_after=None),
    )
    yield TourStep(
        110 + _FAULT_SECONDS, "no more 429; the request limit rises", lambda tour: tour.set_faults()
    )
    yield TourStep(130, "", Tour.summary)


def later_round(rng: random.Random) -> Iterator[TourStep]:
    """Some other faults in an order that the seed decides, each for ten seconds."""
    at = 0.0
    for option in rng.sample(_LATER_FAULTS, _FAULTS_PER_ROUND):
        yield _weakest(option, at)
        yield TourStep(at + _FAULT_SECONDS, f"no more {option.title}", lambda tour: tour.set_faults())
        at += _EVERY
    yield TourStep(at, "", Tour.summary)


def _weakest(option: FaultOption, at: float) -> TourStep:
    strength = option.strengths[1]
    return TourStep(
        at,
        f"{option.title}, {strength.label} for {span(_FAULT_SECONDS)}",
        lambda tour: tour.set_faults(**strength.values),
    )


class TourControl:
    """At most one tour at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._quit_keys = self._keys("quit")
        """Keys that stop the tour and keep their usual effect."""
        self._lock = threading.Lock()
        self._tour: Tour | None = None

    def _keys(self, key_id: str) -> Sequence[str]:
        """The keys of a binding as configured, by their names."""
        keys = self._settings.keymap.get(key_id) or KEYS_BY_ID[key_id].keys
        return [key.strip() for key in keys.split(",")]

    @property
    def is_running(self) -> bool:
        """Whether a tour runs or is being reset."""
        return self._tour is not None

    def start(self, pipeline: PipelineControl | None) -> str:
        """Start the tour; returns why that is impossible, or an empty text."""
        if not self._settings.demo:
            return "The tour needs the demo market: start sp500tui --demo --tour"
        if self.is_running:
            return "The tour is running already"
        market = None if pipeline is None else pipeline.demo_market
        if pipeline is None or market is None:
            return "The tour needs a demo market in this process, and there is none yet"
        self._tour = Tour(
            pipeline,
            market,
            seed=self._settings.market_seed or 0,
            faults_key=self._keys("screen.demo")[0],
        )
        ServiceThread("tour", self._run, attempts=1).start()
        return ""

    def stop(self) -> None:
        """Stop the tour, which then resets everything."""
        with self._lock:
            if self._tour is not None:
                self._tour.stop()

    def takes_key(self, key: str) -> bool:
        """Whether a key only stops the tour."""
        if not self.is_running:
            return False
        self.stop()
        return key not in self._quit_keys

    def _run(self) -> None:
        assert self._tour is not None  # noqa: S101  # set before the thread starts
        try:
            self._tour.run()
        finally:
            with self._lock:
                self._tour = None

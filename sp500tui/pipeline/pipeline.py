"""The whole pipeline: its parts, how they are joined, how it starts and how it ends."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sp500tui.domain import Constituent, ConvertedQuote, Sp500tuiError
from sp500tui.paths import Paths
from sp500tui.pipeline.control import (
    MAX_INTERVAL,
    MIN_INTERVAL,
    STOP_WORDS,
    Scaled,
    StopStep,
)
from sp500tui.pipeline.conversion import Conversion
from sp500tui.pipeline.cycles import Cycles, Plan
from sp500tui.pipeline.database_state import DatabaseState
from sp500tui.pipeline.dead_letters import DeadLetters
from sp500tui.pipeline.fx import FxBook
from sp500tui.pipeline.gauges import QueueGauge
from sp500tui.pipeline.items import Fetched, Ticker
from sp500tui.pipeline.journal import Journal
from sp500tui.pipeline.keeper import Keeper
from sp500tui.pipeline.market_clock import MarketClock
from sp500tui.pipeline.metrics import Books, LatencyHistogram
from sp500tui.pipeline.overview import bottleneck, upstream_snapshot
from sp500tui.pipeline.prices import PriceBoard
from sp500tui.pipeline.pricing import MissingBook, Pricing
from sp500tui.pipeline.queues import MemoryQueue
from sp500tui.pipeline.report import RunReport
from sp500tui.pipeline.scraper import Roster, Scraping
from sp500tui.pipeline.snapshot import (
    EventKind,
    Ledger,
    LivePrice,
    Phase,
    PipelineEvent,
    QueueName,
    Snapshot,
    StageName,
)
from sp500tui.pipeline.stage import Stage
from sp500tui.pipeline.upstream import Upstream
from sp500tui.pipeline.writing import WriterBody, Writing
from sp500tui.settings import Settings
from sp500tui.sources.throttle import Throttle
from sp500tui.storage.database import mask_url

_log = logging.getLogger(__name__)

_LOOK = 0.05
"""Seconds between two looks of the supervisor."""
_BURST = 16
"""Requests that may go out at once after a rest: one cycle over the whole index."""
_SPOOL_DEADLINE = 5.0
"""Seconds that spooling may take before what is left is abandoned."""
_IMPATIENT = 15.0
_GIVE_UP_AFTER = 60.0
"""Seconds a symbol is tried for within one cycle; fewer in a bounded run that has had no answer at all."""


class Pipeline:
    """Implements `control.PipelineControl`."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        *,
        connect: Callable[[Settings, Paths, Throttle], Upstream] = Upstream.open,
    ) -> None:
        self._settings = settings
        self._paths = paths
        self._connect = connect
        self._listeners: list[Callable[[PipelineEvent], None]] = []
        self._started = time.monotonic()
        self._phase = Phase.STARTING
        self._step = StopStep.NONE
        self._paused = False
        self._failure: Sp500tuiError | None = None
        self._stopped_early = False
        self._wake = threading.Event()
        self._no_more_cycles = threading.Event()
        self._over = threading.Event()
        self._upstream: Upstream | None = None
        self._clock: MarketClock | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._join_parts()

    def _join_parts(self) -> None:
        """Make every part and tie them together, without starting or importing anything heavy."""
        settings, paths = self._settings, self._paths
        self._books = Books()
        self._throttle = Throttle(settings.requests_per_second, burst=_BURST)
        self._tickers: MemoryQueue[Ticker] = MemoryQueue(settings.tickers_capacity, self._books.lock)
        self._quotes: MemoryQueue[Fetched] = MemoryQueue(settings.quotes_capacity, self._books.lock)
        self._rows: MemoryQueue[ConvertedQuote] = MemoryQueue(settings.rows_capacity, self._books.lock)
        self._gauges = (
            QueueGauge(QueueName.TICKERS, self._tickers),
            QueueGauge(QueueName.QUOTES, self._quotes),
            QueueGauge(QueueName.ROWS, self._rows),
        )
        self._fx = FxBook(settings.currency)
        self._missing = MissingBook()
        self._board = PriceBoard()
        self._end_to_end = LatencyHistogram()
        plan = Plan(1 if settings.once else settings.cycles, settings.duration)
        self._bounded = plan != Plan()
        self._cycles = Cycles(plan, settings.interval)
        self._roster = Roster(lambda: self._world().wikipedia, settings.symbols, settings.list_refresh)
        self._journal = Journal(
            paths.journal / database_key(settings.database),
            self._books,
            limit_bytes=settings.journal_limit_mb << 20,
            write_ahead=settings.journal,
        )
        self._database = DatabaseState(self._tell)
        self._keeper = Keeper(
            settings.database,
            paths.pgdata,
            state=self._database,
            roster=self._roster,
            patient=not (settings.no_ui and self._bounded),
            give_up=self._fail,
        )
        self._writing = Writing(
            self._rows,
            self._journal,
            state=self._database,
            dead_letters=DeadLetters(paths.dead_letters),
            board=self._board,
            end_to_end=self._end_to_end,
            url=lambda: self._keeper.url,
            batch_size=settings.write_batch,
            commit_timeout=settings.commit_timeout,
        )
        pricing = Pricing(
            lambda: self._world().yahoo,
            self._tickers,
            self._quotes,
            books=self._books,
            fx=self._fx,
            missing=self._missing,
            batch_size=settings.batch_size,
            max_attempts=settings.max_attempts,
            give_up_after=self._give_up_after,
        )
        scraping = Scraping(self._roster, self._cycles, self._tickers, ended=self._no_more_cycles.set)
        conversion = Conversion(self._quotes, self._rows, fx=self._fx, board=self._board)
        self._stages = {
            StageName.SCRAPER: Stage(StageName.SCRAPER, scraping.make_body, 1, listener=self._tell),
            StageName.PRICE: Stage(
                StageName.PRICE,
                pricing.make_body,
                settings.price_workers,
                listener=self._tell,
                hang_after=12 * settings.request_timeout,
            ),
            StageName.CONVERTER: Stage(
                StageName.CONVERTER, conversion.make_body, settings.converters, listener=self._tell
            ),
            StageName.WRITER: Stage(
                StageName.WRITER,
                self._writing.make_body,
                settings.writers,
                listener=self._tell,
                # A writer guards its own commits; this is for a thread that hangs elsewhere.
                hang_after=20 * settings.commit_timeout,
            ),
        }

    # --- control.PipelineControl ---------------------------------------------------------------------------

    def start(self) -> None:
        """See `PipelineControl.start`."""
        self._thread.start()

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """See `PipelineControl.prices_since`."""
        return self._board.since(version)

    def price_of(self, symbol: str) -> LivePrice | None:
        """See `PipelineControl.price_of`."""
        return self._board.of(symbol)

    def constituents(self) -> Sequence[Constituent]:
        """See `PipelineControl.constituents`."""
        return self._roster.constituents()

    def subscribe(self, listener: Callable[[PipelineEvent], None]) -> None:
        """See `PipelineControl.subscribe`."""
        self._listeners.append(listener)

    def scale(self, stage: StageName, size: int) -> Scaled:
        """See `PipelineControl.scale`."""
        if stage is StageName.SCRAPER:
            return Scaled(stage, 1, 1)
        return self._stages[stage].scale(size)

    def pause(self, stage: StageName | None = None) -> None:
        """See `PipelineControl.pause`."""
        self._set_paused(stage, paused=True)

    def resume(self, stage: StageName | None = None) -> None:
        """See `PipelineControl.resume`."""
        self._set_paused(stage, paused=False)

    def _set_paused(self, stage: StageName | None, *, paused: bool) -> None:
        names = (StageName.SCRAPER, StageName.PRICE) if stage is None else (stage,)
        for name in names:
            (self._stages[name].pause if paused else self._stages[name].resume)()
        if stage is None:
            self._paused = paused
        what = "the intake" if stage is None else f"the {stage} stage"
        kind = EventKind.PAUSED if paused else EventKind.RESUMED
        self._say(kind, f"{what} is {kind}", stage=stage)

    def run_cycle_now(self) -> bool:
        """See `PipelineControl.run_cycle_now`."""
        return self._phase is Phase.RUNNING and self._cycles.ask()

    def set_interval(self, seconds: float) -> float:
        """See `PipelineControl.set_interval`."""
        self._cycles.set_interval(max(MIN_INTERVAL, min(MAX_INTERVAL, seconds)))
        return self._cycles.interval

    def stop(self, step: StopStep = StopStep.DRAIN) -> None:
        """See `PipelineControl.stop`."""
        if step <= self._step:
            return
        self._step = step
        self._stopped_early = True
        self._say(EventKind.PHASE, STOP_WORDS[step])
        if step is StopStep.KILL:
            for worker in self._stages[StageName.WRITER].workers:
                if isinstance(worker.body, WriterBody):
                    worker.body.kill()
        self._wake.set()

    def join(self, timeout: float | None = None) -> bool:
        """See `PipelineControl.join`."""
        return self._over.wait(timeout)

    def kill_worker(self, name: str) -> bool:
        """See `PipelineControl.kill_worker`."""
        return any(
            worker.name == name and isinstance(worker.body, WriterBody) and worker.body.kill()
            for worker in self._stages[StageName.WRITER].workers
        )

    def stop_database(self) -> bool:
        """See `PipelineControl.stop_database`."""
        return self._keeper.stop_server()

    @property
    def demo_control(self) -> str | None:
        """Where the demo market's faults are set; None for the live market or before it runs."""
        return self._upstream.market.control_url if self._upstream and self._upstream.market else None

    def outcome(self) -> RunReport:
        """The end of the run in numbers."""
        return RunReport.of(self.snapshot(), self._failure, stopped_early=self._stopped_early)

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`."""
        with self._books.lock:
            ledger = self._ledger()
            outstanding = self._outstanding(ledger)
            queues = tuple(gauge.snapshot() for gauge in self._gauges)
        state = self._board.market_state
        workers = {stage: stage.workers for stage in self._stages.values()}
        stages = tuple(stage.snapshot(there) for stage, there in workers.items())
        shots = tuple(worker.snapshot() for there in workers.values() for worker in there)
        upstream = upstream_snapshot(self._throttle.state(), self._fx)
        database = self._keeper.snapshot()
        return Snapshot(
            taken_at=datetime.now(UTC),
            tick=time.monotonic(),
            phase=self._shown_phase(),
            demo=self._settings.demo,
            uptime=time.monotonic() - self._started,
            ledger=ledger,
            cycle=self._cycles.snapshot(outstanding, stopping=self._phase is not Phase.RUNNING),
            queues=queues,
            stages=stages,
            workers=shots,
            constituents=self._roster.snapshot(),
            upstream=upstream,
            database=database,
            journal=self._journal.snapshot(),
            market=self._clock.snapshot(state) if self._clock else MarketClock.unknown(state),
            missing=self._missing.listing(),
            end_to_end=self._end_to_end.latency(),
            bottleneck=bottleneck(stages, queues, shots, database),
            failure=str(self._failure) if self._failure else "",
        )

    # --- the numbers of the equation; the books' lock is held ---------------------------------------------------

    def _ledger(self) -> Ledger:
        quotes, rows, books = self._quotes.depth(), self._rows.depth(), self._books
        return Ledger(
            fetched=books.fetched,
            stored=books.stored,
            duplicate=books.duplicate,
            queued=quotes.ready + rows.ready,
            in_flight=quotes.in_flight + rows.in_flight + self._journal.in_hand,
            spooled=self._journal.spooled,
            dead=books.dead,
        )

    def _outstanding(self, ledger: Ledger) -> int:
        """Symbols of the cycle that are not settled; what is spooled is safe and holds no cycle up."""
        tickers = self._tickers.depth()
        return tickers.ready + tickers.in_flight + ledger.queued + ledger.in_flight

    # --- the life of a run; on the supervisor's thread ----------------------------------------------------------

    def _run(self) -> None:
        try:
            self._open()
            self._work()
            self._drain()
        except Sp500tuiError as error:
            self._fail(error)
        except Exception as error:  # the supervisor must end in good order whatever happened
            _log.exception("the supervisor failed")
            self._fail(Sp500tuiError(f"the pipeline failed: {type(error).__name__}: {error}"))
        finally:
            self._close()

    def _open(self) -> None:
        replay = self._journal.open()
        if replay:
            message = f"the journal holds {replay:,} rows of an earlier run: they are stored now"
            _log.warning("%s", message)
            self._say(EventKind.REPLAYED, message)
        self._keeper.thread.start()
        self._stages[StageName.WRITER].start()
        self._upstream = self._connect(self._settings, self._paths, self._throttle)
        for name in (StageName.CONVERTER, StageName.PRICE, StageName.SCRAPER):
            self._stages[name].start()
        if not self._settings.no_ui:
            self._clock = MarketClock(self._upstream.yahoo.trading_periods, lambda: self._board.market_state)
            self._clock.thread.start()
        self._enter(Phase.RUNNING)

    def _work(self) -> None:
        """Watch until the last cycle is done or somebody wants it to end."""
        while not self._no_more_cycles.is_set() and self._step is StopStep.NONE and not self._failure:
            self._wake.wait(_LOOK)
            self._look()
        if self._failure:
            self._step = max(self._step, StopStep.SPOOL)

    def _look(self) -> None:
        for gauge in self._gauges:
            gauge.sample()
        for stage in self._stages.values():
            stage.watch()
        if self._cycles.running and not self._stages[StageName.SCRAPER].busy:
            with self._books.lock:
                finished = not self._outstanding(self._ledger())
            if finished:
                seconds = self._cycles.finish()
                number = self._cycles.snapshot(0, stopping=False).number
                self._say(EventKind.CYCLE_FINISHED, f"cycle {number} finished in {seconds:.2f} s")

    def _drain(self) -> None:
        """End the stages one after the other, each when nothing can reach it any more."""
        self._enter(Phase.DRAINING)
        self._resume_all()
        deadline = time.monotonic() + self._settings.drain_timeout
        if self._step is not StopStep.NONE:
            # Who stops by hand wants no new requests; what was fetched goes its way to the end.
            self._tickers.discard_ready()
            self._stages[StageName.PRICE].dismiss()
        self._stages[StageName.SCRAPER].dismiss()
        for name, queue in (
            (StageName.SCRAPER, self._tickers),
            (StageName.PRICE, self._quotes),
            (StageName.CONVERTER, self._rows),
            (StageName.WRITER, None),
        ):
            self._stages[name].end()
            self._await(name, deadline)
            if queue is not None:
                queue.close()

    def _await(self, name: StageName, deadline: float) -> None:
        """Wait until a stage is empty; past the deadline, or when asked to, spool instead of draining."""
        spool_deadline: float | None = None
        while not self._stages[name].join(_LOOK):
            self._look()
            now = time.monotonic()
            if self._step is StopStep.KILL:
                return
            if spool_deadline is None and (self._step >= StopStep.SPOOL or now > deadline):
                self._spool()
                spool_deadline = now + _SPOOL_DEADLINE
            if spool_deadline is not None and now > spool_deadline:
                _log.error("the %s stage did not end in time; it is abandoned", name)
                return

    def _spool(self) -> None:
        if self._writing.spooling_since is None:
            self._enter(Phase.SPOOLING)
            self._tickers.discard_ready()
            self._quotes.lift_capacity()
            self._rows.lift_capacity()
            self._stages[StageName.PRICE].dismiss()
            self._writing.spooling_since = time.monotonic()

    def _resume_all(self) -> None:
        for stage in self._stages.values():
            stage.resume()

    def _close(self) -> None:
        if self._clock is not None:
            self._clock.close()
        if self._step is not StopStep.KILL:
            self._keeper.close()
        self._journal.close()
        if self._upstream is not None:
            self._upstream.close()
        self._enter(Phase.FAILED if self._failure else Phase.STOPPED)
        self._over.set()

    def _fail(self, error: Sp500tuiError) -> None:
        """The run cannot go on; what has been fetched is kept in the journal."""
        if self._failure is None:
            self._failure = error
            _log.error("%s", error)
        self._wake.set()

    # --- small things -------------------------------------------------------------------------------------------

    def _world(self) -> Upstream:
        if self._upstream is None:
            raise Sp500tuiError("the sources are not open yet")
        return self._upstream

    def _give_up_after(self) -> float:
        """Seconds after which a symbol without an answer is named missing."""
        never = self._throttle.state().last_success_age is None
        return _IMPATIENT if never and self._bounded else _GIVE_UP_AFTER

    def _shown_phase(self) -> Phase:
        return Phase.PAUSED if self._paused and self._phase is Phase.RUNNING else self._phase

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._say(EventKind.PHASE, str(phase))

    def _say(self, kind: EventKind, message: str, stage: StageName | None = None) -> None:
        self._tell(PipelineEvent(kind, message, logging.INFO, datetime.now(UTC), stage))

    def _tell(self, event: PipelineEvent) -> None:
        for listener in self._listeners:
            listener(event)


def database_key(url: str | None) -> str:
    """The name of the journal's folder for a database: rows meant for one never reach another."""
    if url is None:
        return "embedded"
    return hashlib.sha256(mask_url(url).encode()).hexdigest()[:12]

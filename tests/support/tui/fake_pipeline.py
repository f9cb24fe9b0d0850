"""A pipeline without threads: canned snapshots, seeded prices, and a record of every call."""

from __future__ import annotations

import csv
import functools
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files

from sp500tui.model import Constituent, ConvertedQuote, MarketState, Quote, Resolution
from sp500tui.pipeline.api import FaultInjector, HistorySnapshot, ScaleResult, ShutdownLevel, clamp_workers
from sp500tui.pipeline.core.events import EventKind, PipelineEvent, deliver
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import (
    ConstituentsSnapshot,
    CycleSnapshot,
    DatabaseSnapshot,
    Health,
    JournalSnapshot,
    Latency,
    LivePrice,
    MarketSnapshot,
    MissingSymbol,
    Phase,
    QueueSnapshot,
    Snapshot,
    SourceSnapshot,
    StageSnapshot,
    WorkerSnapshot,
    WorkerState,
)
from sp500tui.pipeline.core.timing.second_sample import (
    JournalSecond,
    QueueSecond,
    SecondSample,
    StageSecond,
    WorkerSecond,
)
from sp500tui.pipeline.core.timing.spans import Batches, Span, SpanReport, WorkerSpans
from sp500tui.pipeline.core.verdict import Severity, Verdict, VerdictKind
from sp500tui.pipeline.monitoring.verdict import verdict
from sp500tui.pipeline.report import RunReport

NOON = datetime(2026, 5, 14, 17, 46, 0, tzinfo=UTC)
"""The fixed current time in these tests."""
_RATE = Decimal("6.8721")


def listed() -> list[Constituent]:
    """The 503 constituents shipped with the package."""
    return [constituent for constituent, _, _ in _rows()]


@functools.cache
def _rows() -> tuple[tuple[Constituent, Decimal, int], ...]:
    text = (files("sp500tui.sources.wikipedia") / "constituents.csv").read_text(encoding="utf-8")
    return tuple(
        (
            Constituent(
                symbol=row["symbol"],
                name=row["security"],
                sector=row["gics_sector"],
                sub_industry=row["gics_sub_industry"],
                headquarters=row["headquarters"],
                date_added=date.fromisoformat(row["date_added"]) if row["date_added"] else None,
                cik=row["cik"],
                founded=row["founded"],
            ),
            Decimal(row["price_usd"] or "100"),
            int(float(row["market_cap_usd"] or 0)),
        )
        for row in csv.DictReader(text.splitlines())
    )


def live_price(
    symbol: str, price: Decimal, percent: float, version: int, age: float = 2.0, market_cap: int | None = None
) -> LivePrice:
    """A quote of `symbol`, `age` seconds old, that moved by `percent`."""
    change = (price * Decimal(percent) / 100).quantize(Decimal("0.01"))
    quote = Quote(
        symbol=symbol,
        price=price,
        change=change,
        percent_change=Decimal(f"{percent:.2f}"),
        currency="USD",
        quote_time=NOON - timedelta(seconds=age),
        market_state=MarketState.REGULAR,
        volume=1_000 + version * 7_919,
        fetched_at=NOON - timedelta(seconds=age / 2),
        market_cap=market_cap or None,
    )
    converted = (price * _RATE).quantize(Decimal("0.01"))
    row = ConvertedQuote(quote, converted, "DKK", _RATE, NOON - timedelta(seconds=12), fetched_by="price-1")
    return LivePrice(row, version, "writer-1")


def seeded_prices() -> list[LivePrice]:
    """A price for every constituent, the same in every run."""
    return list(_seeded_prices())


@functools.cache
def _seeded_prices() -> tuple[LivePrice, ...]:
    rng = random.Random(500)
    return tuple(
        live_price(
            constituent.symbol,
            price,
            round(rng.gauss(0.2, 1.4), 2),
            number,
            rng.uniform(0.5, 9.0),
            market_cap,
        )
        for number, (constituent, price, market_cap) in enumerate(_rows(), start=1)
    )


def queue(
    name: QueueName, ready: int, capacity: int, high: int, age: float | None, inward: float, out: float
) -> QueueSnapshot:
    """A queue without items in flight."""
    return QueueSnapshot(name, ready, 0, capacity, high, age, inward, out)


def worker(
    stage: StageName, number: int, state: WorkerState, doing: str, rate: float = 0.0, **more: object
) -> WorkerSnapshot:
    """A worker with a history consistent with its rate."""
    rng = random.Random(f"{stage}{number}")
    history = tuple(round(rate * rng.uniform(0.5, 1.5), 1) for _ in range(30))
    base = WorkerSnapshot(
        name=f"{stage}-{number}" if stage is not StageName.SCRAPER else "scraper",
        stage=stage,
        state=state,
        doing=doing,
        state_seconds=3.0,
        items=int(rate * 420),
        rate_1=rate,
        rate_10=rate,
        rate_60=rate,
        latency=Latency(rate * 4 + 1, rate * 9 + 2, rate * 11 + 3) if rate else Latency(),
        restarts=0,
        last_error="",
        retry_in=None,
        pid=4200 + number if stage is StageName.WRITER else 4100,
        thread=4300 + number,
        history=history,
    )
    return replace(base, **more)  # type: ignore[arg-type]


def judged(snapshot: Snapshot) -> Snapshot:
    """The snapshot with its verdict."""
    return replace(snapshot, verdict=verdict(snapshot, ()))


def running() -> Snapshot:
    """A run without problems in the middle of cycle 42, limited by the request limit."""
    busy, idle, backoff = WorkerState.BUSY, WorkerState.IDLE, WorkerState.BACKOFF
    price = [worker(StageName.PRICE, n, busy, "50 symbols, AAPL to AXON", 6.0 + n / 7) for n in range(1, 6)]
    price.append(
        worker(
            StageName.PRICE,
            6,
            backoff,
            "",
            0.0,
            retry_in=12.0,
            restarts=2,
            last_error="Yahoo Finance answered 429",
        )
    )
    price += [worker(StageName.PRICE, n, idle, "", 0.0) for n in (7, 8)]
    return Snapshot(
        taken_at=NOON,
        phase=Phase.RUNNING,
        demo=True,
        uptime=631.0,
        ledger=Ledger(21_126, 20_871, 203, 52, 0, 0, 0),
        cycle=CycleSnapshot(42, 503, 451, True, 1.2, 7.0, 0, 15.0),
        queues=(
            queue(QueueName.TICKERS, 50, 2048, 503, 0.4, 41.2, 38.0),
            queue(QueueName.QUOTES, 0, 4096, 212, None, 41.2, 41.2),
            queue(QueueName.ROWS, 52, 4096, 180, 0.1, 41.2, 44.6),
        ),
        stages=(
            StageSnapshot(StageName.SCRAPER, 1, 1, 0, 42, 0, 0.1, Latency(180.0, 240.0, 260.0), 0),
            StageSnapshot(StageName.PRICE, 8, 8, 5, 21_126, 3, 41.2, Latency(64.0, 112.0, 140.0), 2),
            StageSnapshot(StageName.CONVERTER, 2, 2, 0, 21_126, 0, 41.2, Latency(0.4, 1.1, 1.6), 0),
            StageSnapshot(StageName.WRITER, 2, 2, 1, 21_074, 0, 38.4, Latency(4.0, 8.9, 12.0), 0),
        ),
        workers=(
            worker(StageName.SCRAPER, 1, idle, "next cycle in 7 s"),
            *price,
            worker(StageName.CONVERTER, 1, idle, "", 20.6),
            worker(StageName.CONVERTER, 2, idle, "", 20.6),
            worker(StageName.WRITER, 1, busy, "52 rows", 19.2),
            worker(StageName.WRITER, 2, idle, "", 19.2),
        ),
        constituents=ConstituentsSnapshot(Health.OK, "", 503, "wikipedia", NOON),
        sources=SourceSnapshot(Health.OK, "", 4.0, None, 1204, 0, 0, 0.3, "USD/DKK", "6.8721", 12.0),
        database=DatabaseSnapshot(
            Health.OK, "", "postgresql://postgres:***@/sp500", True, None, Latency(3.1, 6.2, 9.9), 20_871
        ),
        journal=JournalSnapshot(Health.OK, "", 1, 52, 7_400, 1 << 30, 0, 0),
        market=MarketSnapshot(MarketState.REGULAR, MarketState.POST, NOON + timedelta(hours=2, minutes=14)),
        end_to_end=Latency(61.0, 143.0, 190.0),
        verdict=Verdict(
            VerdictKind.LIMIT,
            Severity.NOTE,
            "keeps up: a cycle takes 1.2 of 15 s; the request limit (4/s) sets the pace",
            "more price workers would not help",
            StageName.PRICE,
        ),
    )


def with_history(snapshot: Snapshot, queued: int = 498) -> Snapshot:
    """The same run while its history stage requests missing bars."""
    stage = StageSnapshot(StageName.HISTORY, 2, 2, 1, 5, 0, 2.1, Latency(90.0, 210.0, 230.0), 0)
    return replace(
        snapshot,
        queues=(*snapshot.queues, queue(QueueName.HISTORY, queued, 10_000, 503, 61.0, 0.0, 2.1)),
        stages=(*snapshot.stages, stage),
        workers=(
            *snapshot.workers,
            worker(StageName.HISTORY, 1, WorkerState.SOURCE, "MMM 1m 2026-05-01 to 2026-05-08", 1.2),
            worker(StageName.HISTORY, 2, WorkerState.LIMIT, "AOS 1m 2026-05-01 to 2026-05-08", 0.9),
        ),
    )


def degraded() -> Snapshot:
    """Yahoo Finance throttles, and the database is unavailable."""
    calm = running()
    return judged(
        replace(
            calm,
            sources=replace(
                calm.sources,
                health=Health.DEGRADED,
                message="Yahoo Finance answers 429",
                retry_in=12.0,
                throttled=9,
                failed=9,
            ),
            database=replace(
                calm.database, health=Health.DOWN, message="PostgreSQL does not answer", retry_in=3.0
            ),
            queues=(calm.queues[0], calm.queues[1], queue(QueueName.ROWS, 3900, 4096, 3911, 41.0, 41.2, 0.0)),
            ledger=Ledger(25_126, 20_871, 203, 3952, 0, 100, 0),
            missing=(MissingSymbol("NOPE1", "unknown to Yahoo Finance"),),
            workers=(
                *calm.workers[:-2],
                worker(
                    StageName.WRITER,
                    1,
                    WorkerState.DATABASE_DOWN,
                    "database away",
                    0.0,
                    retry_in=3.0,
                    last_error="connection refused",
                ),
                worker(StageName.WRITER, 2, WorkerState.DRAINING, "12 rows", 2.0, state_seconds=5.0),
            ),
        )
    )


def empty() -> Snapshot:
    """Nothing was fetched: neither the list nor prices are available."""
    calm = running()
    return judged(
        replace(
            calm,
            demo=False,
            phase=Phase.RUNNING,
            ledger=Ledger(),
            cycle=CycleSnapshot(interval=15.0, next_in=9.0),
            queues=tuple(queue(each.name, 0, each.capacity, 0, None, 0.0, 0.0) for each in calm.queues),
            stages=tuple(
                StageSnapshot(each.name, each.size, each.size, 0, 0, 0, 0.0, Latency(), 0)
                for each in calm.stages
            ),
            workers=calm.workers[:1],
            constituents=ConstituentsSnapshot(Health.DOWN, "Wikipedia cannot be reached: no route to host"),
            sources=SourceSnapshot(Health.DOWN, "Yahoo Finance cannot be reached", 4.0, 9.0, 3, 3),
        )
    )


def failed() -> Snapshot:
    """The pipeline has failed."""
    return judged(
        replace(empty(), phase=Phase.FAILED, failure="the data folder cannot be written: /srv/data")
    )


def draining() -> Snapshot:
    """The first shutdown step was taken."""
    return judged(replace(running(), phase=Phase.DRAINING))


def second_sample(second: int, *, price: Mapping[WorkerState, float] | None = None) -> SecondSample:
    """One second of a run with one price worker, whose time is divided as in `price`."""
    seconds = {WorkerState.SOURCE: 0.75, WorkerState.IDLE: 0.25} if price is None else price
    return SecondSample(
        second=second,
        at=NOON + timedelta(seconds=second),
        workers=(WorkerSecond("price-1", StageName.PRICE, seconds, 50),),
        stages=(StageSecond(StageName.PRICE, seconds, 50),),
        queues=(QueueSecond(QueueName.TICKERS, 12.5, 100, 3.0, 50, 0.25),),
        journal=JournalSecond(2.5, 10),
    )


class FakePipeline:
    """Returns the same state until a test changes `now_shows`; records the calls."""

    def __init__(self, snapshot: Snapshot | None = None, prices: Sequence[LivePrice] | None = None) -> None:
        self.now_shows = snapshot or running()
        self.prices = seeded_prices() if prices is None else list(prices)
        self.names: Sequence[Constituent] = listed() if self.now_shows.constituents.count else ()
        self.seconds: Sequence[SecondSample] = ()
        self.events: Sequence[PipelineEvent] = ()
        self.calls: list[tuple[object, ...]] = []
        self.listeners: list[Callable[[PipelineEvent], None]] = []
        self.ends_at = ShutdownLevel.KILL
        """The shutdown step that ends it."""
        self.step = ShutdownLevel.NONE
        self.database_url: str | None = None
        self.heals = True
        self.history_progress = HistorySnapshot()
        self.demo_market: FaultInjector | None = None

    def start(self) -> None:
        self.calls.append(("start",))

    def snapshot(self) -> Snapshot:
        return self.now_shows

    @property
    def stalled(self) -> float:
        return 0.0

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        newer = [price for price in self.prices if price.version > version]
        return max((price.version for price in newer), default=version), newer

    def seconds_since(self, second: int) -> tuple[int, Sequence[SecondSample]]:
        last = max((sample.second for sample in self.seconds), default=0)
        return last, [sample for sample in self.seconds if sample.second > second]

    def events_since(self, number: int) -> tuple[int, Sequence[PipelineEvent]]:
        last = max((event.number for event in self.events), default=0)
        return last, [event for event in self.events if event.number > number]

    def constituents(self) -> Sequence[Constituent]:
        return self.names

    def subscribe(self, listener: Callable[[PipelineEvent], None]) -> None:
        self.listeners.append(listener)

    def scale(self, stage: StageName, size: int) -> ScaleResult:
        self.calls.append(("scale", stage, size))
        old = self.now_shows.stage(stage).size
        stages = tuple(
            replace(each, size=clamp_workers(size)) if each.name is stage else each
            for each in self.now_shows.stages
        )
        self.now_shows = replace(self.now_shows, stages=stages)
        return ScaleResult(stage, old, clamp_workers(size))

    def scale_node(self, node: str, stage: StageName, size: int) -> ScaleResult:
        self.calls.append(("scale_node", node, stage, size))
        old = 0
        nodes = []
        for each in self.now_shows.nodes:
            if each.name == node:
                old = next(pool.size for pool in each.stages if pool.name is stage)
                pools = [replace(pool, size=size) if pool.name is stage else pool for pool in each.stages]
                each = replace(each, stages=tuple(pools))
            nodes.append(each)
        self.now_shows = replace(self.now_shows, nodes=tuple(nodes))
        return ScaleResult(stage, old, size)

    def pause(self, stage: StageName | None = None) -> None:
        self.calls.append(("pause", stage))
        self._set_paused(stage, paused=True)

    def resume(self, stage: StageName | None = None) -> None:
        self.calls.append(("resume", stage))
        self._set_paused(stage, paused=False)

    def _set_paused(self, stage: StageName | None, *, paused: bool) -> None:
        if stage is None:
            self.now_shows = judged(replace(self.now_shows, phase=Phase.PAUSED if paused else Phase.RUNNING))
            return
        stages = tuple(
            replace(each, paused=paused) if each.name is stage else each for each in self.now_shows.stages
        )
        self.now_shows = replace(self.now_shows, stages=stages)

    def heal(self, resolution: Resolution, start: datetime, end: datetime, symbols: Sequence[str]) -> bool:
        self.calls.append(("heal", str(resolution), start, end, tuple(symbols)))
        return self.heals

    def check_coverage(
        self, resolution: Resolution, start: datetime, end: datetime, symbols: Sequence[str]
    ) -> bool:
        self.calls.append(("check", str(resolution), start, end, tuple(symbols)))
        return self.heals

    def history(self) -> HistorySnapshot:
        return self.history_progress

    def run_cycle_now(self) -> bool:
        self.calls.append(("run_cycle_now",))
        return not self.now_shows.cycle.running

    def set_interval(self, seconds: float) -> float:
        self.calls.append(("set_interval", seconds))
        self.now_shows = replace(self.now_shows, cycle=replace(self.now_shows.cycle, interval=seconds))
        return seconds

    def stop(self, level: ShutdownLevel = ShutdownLevel.DRAIN) -> None:
        self.calls.append(("stop", level))
        self.step = max(self.step, level)
        ended = self.step >= self.ends_at
        self.now_shows = replace(self.now_shows, phase=Phase.STOPPED if ended else Phase.DRAINING)

    def join(self, timeout: float | None = None) -> bool:
        return self.step >= self.ends_at

    def outcome(self) -> RunReport:
        return RunReport.from_snapshot(self.now_shows, stopped_early=self.step is not ShutdownLevel.NONE)

    def kill_worker(self, name: str) -> bool:
        self.calls.append(("kill_worker", name))
        return name.startswith("writer")

    def announce(self, message: str) -> None:
        number = self.events_since(0)[0] + 1
        event = PipelineEvent(EventKind.TOUR, message, logging.INFO, NOON, number=number)
        self.events = [*self.events, event]
        deliver(event, *self.listeners)

    def spans(self, seconds: float) -> SpanReport:
        busy = Span(WorkerState.BUSY, 100.0 - seconds, 100.0, Batches(1, 2))
        return SpanReport(NOON, 100.0, 1, (WorkerSpans("price-1", StageName.PRICE, 1, 2, (busy,)),))

    def price_of(self, symbol: str) -> LivePrice | None:
        return next((price for price in self.prices if price.row.quote.symbol == symbol), None)

    def stop_database(self, seconds: float) -> bool:
        self.calls.append(("stop_database", seconds))
        return True

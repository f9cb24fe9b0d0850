"""The state of a run as Prometheus metrics, read from one snapshot at each scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sp500tui import __version__
from sp500tui.model import Constituent
from sp500tui.pipeline.core.metrics import DURATION_BOUNDS, Durations
from sp500tui.pipeline.core.names import StageName
from sp500tui.pipeline.core.snapshot import Health, LivePrice, Phase, Snapshot, WorkerState
from sp500tui.pipeline.core.timing.second_history import ProcessorSeconds

QUANTILES = (0.0, 0.5, 0.9, 0.99, 1.0)
"""Quantiles of the symbols' ages; 1 is the oldest."""
Family = Metric
Labels = tuple[str, ...]


class MeasuredRun(Protocol):
    """The part of a pipeline or cluster node that the metrics read."""

    @property
    def stalled(self) -> float:
        """Seconds since the supervising thread last completed a step."""

    def snapshot(self) -> Snapshot:
        """See `PipelineControl.snapshot`."""

    def prices_since(self, version: int) -> tuple[int, Sequence[LivePrice]]:
        """See `PipelineControl.prices_since`."""

    def constituents(self) -> Sequence[Constituent]:
        """See `PipelineControl.constituents`."""

    def durations(self) -> Mapping[str, Durations]:
        """All fetches and commits since the start, by `fetch` and `commit`."""

    def state_seconds(self) -> Mapping[StageName, Mapping[WorkerState, float]]:
        """The seconds that the workers of each stage have spent in each state since the start."""

    def processor_seconds(self) -> Mapping[StageName, ProcessorSeconds]:
        """The processor time that the workers of each stage have used since the start."""


def gauge(name: str, help_text: str, labels: Labels, values: Mapping[Labels, float]) -> Family:
    """A gauge with one sample for each combination of label values."""
    family = GaugeMetricFamily(f"sp500tui_{name}", help_text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def counter(name: str, help_text: str, labels: Labels, values: Mapping[Labels, float]) -> Family:
    """A counter with one sample for each combination of label values; `_total` is added to the name."""
    family = CounterMetricFamily(f"sp500tui_{name}", help_text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def single(name: str, help_text: str, value: float | None) -> Iterator[Family]:
    """A gauge without labels; nothing if the value is unknown."""
    if value is not None:
        yield gauge(name, help_text, (), {(): value})


class RunCollector(Collector):
    """Describes the run of `current`, or only the version while there is none."""

    def __init__(
        self,
        current: Callable[[], MeasuredRun | None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._current = current
        self._clock = clock

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering the collector takes no snapshot."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The metrics of one moment."""
        yield InfoMetricFamily("sp500tui_build", "Version of sp500tui.", value={"version": __version__})
        run = self._current()
        if run is None:
            return
        snapshot = run.snapshot()
        yield from _run(snapshot, run.stalled)
        yield from _queues(snapshot)
        yield from _quotes(snapshot)
        yield from _stages(snapshot)
        yield from _time(run.state_seconds())
        yield from _processor(snapshot, run.processor_seconds())
        yield from _source(snapshot)
        yield from _storage(snapshot)
        for name, durations in run.durations().items():
            yield _histogram(name, durations)
        yield from _symbols(snapshot, _current_prices(run), self._clock())


def _run(snapshot: Snapshot, stalled: float) -> Iterator[Family]:
    yield gauge(
        "phase",
        "Phase of the pipeline: 1 for the current one.",
        ("phase",),
        {(phase,): float(phase is snapshot.phase) for phase in Phase},
    )
    yield from single("uptime_seconds", "Time since the start of the run.", snapshot.uptime)
    yield from single("supervisor_stalled_seconds", "Time since the supervisor's last step.", stalled)
    healths = {
        "constituents": snapshot.constituents.health,
        "source": snapshot.sources.health,
        "database": snapshot.database.health,
        "journal": snapshot.journal.health,
    } | ({"broker": snapshot.broker_health} if snapshot.broker else {})
    yield gauge(
        "health",
        "Health of a component: 1 for the current state.",
        ("component", "state"),
        {(name, health): float(health is present) for name, present in healths.items() for health in Health},
    )
    cycle = snapshot.cycle
    yield counter("cycles", "Cycles that were started.", (), {(): cycle.number})
    yield from single("cycle_seconds", "Duration of the current or last cycle so far.", cycle.seconds)
    yield from single("cycle_symbols", "Symbols of the current or last cycle.", cycle.total)
    yield from single(
        "cycle_symbols_done", "Symbols of the current or last cycle that are finished.", cycle.done
    )


def _queues(snapshot: Snapshot) -> Iterator[Family]:
    queues = snapshot.queues
    items: dict[Labels, float] = {(queue.name, "ready"): queue.ready for queue in queues}
    items |= {(queue.name, "in_flight"): queue.in_flight for queue in queues}
    yield gauge("queue_items", "Items in a queue.", ("queue", "state"), items)
    yield gauge(
        "queue_capacity_items",
        "Ready items at which a queue is full.",
        ("queue",),
        {(queue.name,): queue.capacity for queue in queues},
    )
    yield gauge(
        "queue_oldest_seconds",
        "Time the oldest ready item has been queued; 0 if there is none.",
        ("queue",),
        {(queue.name,): queue.oldest_age or 0.0 for queue in queues},
    )


def _quotes(snapshot: Snapshot) -> Iterator[Family]:
    ledger = snapshot.ledger
    yield counter("quotes_fetched", "Quotes fetched from the source.", (), {(): ledger.fetched})
    yield counter(
        "quotes",
        "Quotes that reached their end: stored, stored before, or refused by the database.",
        ("outcome",),
        {("stored",): ledger.stored, ("duplicate",): ledger.duplicate, ("dead",): ledger.dead},
    )
    yield gauge(
        "quotes_pending",
        "Fetched quotes that have not reached their end.",
        ("state",),
        {("queued",): ledger.queued, ("in_flight",): ledger.in_flight, ("spooled",): ledger.spooled},
    )


def _stages(snapshot: Snapshot) -> Iterator[Family]:
    stages = {stage.name: stage for stage in snapshot.stages}
    present = Counter((worker.stage, worker.state) for worker in snapshot.workers)
    yield gauge(
        "stage_workers",
        "Workers of a stage by state.",
        ("stage", "state"),
        {(name, _label(state)): present[name, state] for name in stages for state in WorkerState},
    )
    yield gauge(
        "stage_size", "Requested workers of a stage.", ("stage",), {(n,): s.size for n, s in stages.items()}
    )
    yield counter(
        "stage_items", "Items a stage finished.", ("stage",), {(n,): s.items for n, s in stages.items()}
    )
    yield counter(
        "stage_failures",
        "Leases that ended with an error.",
        ("stage",),
        {(n,): s.failed for n, s in stages.items()},
    )
    yield counter(
        "stage_restarts",
        "Workers that were restarted.",
        ("stage",),
        {(n,): s.restarts for n, s in stages.items()},
    )
    yield gauge(
        "bottleneck",
        "1 for the stage that limits the throughput.",
        ("stage",),
        {(name,): float(snapshot.verdict.stage is name) for name in StageName},
    )


def _time(stages: Mapping[StageName, Mapping[WorkerState, float]]) -> Iterator[Family]:
    yield counter(
        "stage_blocked_seconds",
        "Time the workers of a stage waited for room in the next queue, summed over the workers.",
        ("stage",),
        {(name,): states.get(WorkerState.BLOCKED, 0.0) for name, states in stages.items()},
    )
    yield counter(
        "stage_state_seconds",
        "Time the workers of a stage spent in a state, summed over the workers.",
        ("stage", "state"),
        {
            (name, _label(state)): states.get(state, 0.0)
            for name, states in stages.items()
            for state in WorkerState
        },
    )


def _processor(snapshot: Snapshot, stages: Mapping[StageName, ProcessorSeconds]) -> Iterator[Family]:
    seconds: dict[Labels, float] = {(name, "threads"): used.threads for name, used in stages.items()}
    seconds |= {(name, "processes"): used.processes for name, used in stages.items()}
    yield counter(
        "stage_processor_seconds",
        "Processor time of the workers of a stage: of their threads, and of the writers' processes.",
        ("stage", "of"),
        seconds,
    )
    lock = snapshot.interpreter_lock
    yield from single(
        "interpreter_lock_held_ratio",
        "Share of the last 10 s for which a thread held the interpreter lock, from 0 to 1.",
        None if lock is None else lock.held,
    )
    yield from single(
        "interpreter_lock_wait_seconds",
        "Mean time for which a thread that became ready waited for the interpreter lock, over the last 10 s.",
        None if lock is None else lock.wait_ms / 1000,
    )


def _label(state: WorkerState) -> str:
    return state.replace(" ", "_")


def _source(snapshot: Snapshot) -> Iterator[Family]:
    source = snapshot.sources
    yield counter(
        "requests",
        "Requests to the source by outcome.",
        ("outcome",),
        {("ok",): source.succeeded, ("failed",): source.failed, ("throttled",): source.throttled},
    )
    yield counter("requests_sent", "Requests sent to the source.", (), {(): source.requests})
    yield from single(
        "throttle_requests_per_second", "Rate of requests that the throttle allows now.", source.rate_limit
    )
    yield from single(
        "throttle_open", "1 while the circuit is open and no request is sent.", source.retry_in is not None
    )
    yield from single(
        "throttle_retry_seconds", "Time until the next request while the circuit is open.", source.retry_in
    )
    yield from single("source_last_success_seconds", "Time since the last answer.", source.last_success)
    yield from single("fx_age_seconds", "Time since the exchange rate was fetched.", source.fx_age)


def _storage(snapshot: Snapshot) -> Iterator[Family]:
    journal, database = snapshot.journal, snapshot.database
    yield from single("journal_bytes", "Size of the journal.", journal.bytes)
    yield from single("journal_limit_bytes", "Size at which fetching pauses.", journal.limit_bytes)
    yield from single("journal_rows", "Rows in the journal that are not committed.", journal.rows)
    yield from single("database_up", "1 while the database can be used.", database.health is not Health.DOWN)
    yield from single("database_rows", "Rows in the table of prices.", database.rows_total)


def _histogram(name: str, durations: Durations) -> Family:
    """A histogram in Prometheus' form: each bucket counts the shorter durations too."""
    bounds = [*map(str, DURATION_BOUNDS), "+Inf"]
    buckets = list(zip(bounds, map(float, accumulate(durations.counts)), strict=True))
    family = HistogramMetricFamily(
        f"sp500tui_{name}_seconds",
        {"fetch": "Time to fetch a batch of prices.", "commit": "Time to commit."}[name],
    )
    family.add_metric((), buckets, durations.seconds)
    return family


def _current_prices(run: MeasuredRun) -> Sequence[LivePrice]:
    """The prices of the symbols that are fetched, without those that have left the index or were renamed.

    A cluster node without a list of constituents has those of all symbols.
    """
    prices = run.prices_since(0)[1]
    symbols = {constituent.symbol for constituent in run.constituents()}
    return [price for price in prices if price.row.quote.symbol in symbols] if symbols else prices


def _symbols(snapshot: Snapshot, prices: Sequence[LivePrice], now: datetime) -> Iterator[Family]:
    yield from single("constituents", "Constituents in the current list.", snapshot.constituents.count)
    yield from single("missing_symbols", "Symbols without a price in the last cycle.", len(snapshot.missing))
    ages = sorted(max(0.0, (now - price.row.quote.quote_time).total_seconds()) for price in prices)
    family = Metric("sp500tui_symbol_age_seconds", "Time since the latest trade of a symbol.", "summary")
    for quantile in QUANTILES if ages else ():
        value = ages[round(quantile * (len(ages) - 1))]
        family.add_sample("sp500tui_symbol_age_seconds", {"quantile": f"{quantile:g}"}, value)
    yield family

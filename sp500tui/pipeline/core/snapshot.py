"""The state of the pipeline as immutable values, which front ends poll a few times a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sp500tui.errors import ExitCode
from sp500tui.model import ConvertedQuote, MarketState
from sp500tui.pipeline.core.ledger import Ledger
from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.verdict import Verdict

_IN_USE_FROM, _BUSY_FROM = 0.1, 0.5
"""Shares of the time for which the interpreter lock is held."""


class WorkerState(StrEnum):
    """The activity or the wait of a worker. Its time is accounted by these states, except the last two."""

    STARTING = "starting"
    """Preparing its task: opening the source, or starting its process."""
    IDLE = "idle"
    """Waiting for input, or for the next cycle."""
    BUSY = "busy"
    """Working."""
    BLOCKED = "blocked"
    """Waiting for space in the next queue (back-pressure)."""
    LIMIT = "waiting for limit"
    """Waiting until the request limit admits its request."""
    SOURCE = "waiting for source"
    """Waiting for the answer to a request to Yahoo Finance or Wikipedia."""
    RATE = "waiting for rate"
    """Holding quotes whose exchange rate is not known yet."""
    JOURNAL = "waiting for journal"
    """Waiting for the journal's disk."""
    DATABASE = "waiting for database"
    """Waiting for a commit."""
    DATABASE_DOWN = "database down"
    """Waiting for the next attempt while the database cannot be used."""
    BACKOFF = "backoff"
    """Waiting until the next attempt after an error or a refused request, for `retry_in` seconds."""
    PAUSED = "paused"
    DRAINING = "draining"
    """Finishing its current lease before it exits."""
    HUNG = "hung"
    """Busy for too long; it was replaced."""


class Phase(StrEnum):
    """The phase of the whole pipeline."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    SPOOLING = "spooling"
    STOPPED = "stopped"
    FAILED = "failed"


class Health(StrEnum):
    """The health of an external system."""

    STARTING = "starting"
    OK = "ok"
    DEGRADED = "degraded"
    """Usable with restrictions: throttled, or with an old list or rate."""
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds over the last ten seconds, unless stated otherwise; None if nothing finished."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """One queue. Counts are items: tickers, quotes, rows or requests for bars."""

    name: QueueName
    ready: int
    in_flight: int
    capacity: int
    high_water: int
    """Highest `ready` since the start."""
    oldest_age: float | None
    """Seconds for which the oldest ready item has been queued; None if there is none."""
    rate_in: float
    """Items put per second, over 10 s."""
    rate_out: float
    """Items taken and acknowledged per second, over 10 s."""

    @property
    def fill(self) -> float:
        """Ready items as a share of the capacity; above 1 if released leases overfill the queue."""
        return self.ready / self.capacity if self.capacity else 0.0


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """One thread or process of one stage."""

    name: str
    """`price-3`."""
    stage: StageName
    state: WorkerState
    doing: str
    """The current task or what the worker waits for, in one line."""
    state_seconds: float
    """Seconds in this state."""
    items: int
    rate_1: float
    rate_10: float
    rate_60: float
    """Items per second over 1, 10 and 60 s."""
    latency: Latency
    """Duration of one lease."""
    restarts: int
    last_error: str
    retry_in: float | None
    """Seconds until the next attempt of a worker in back-off or waiting."""
    pid: int
    """Process id: of a writer's process, otherwise of this process."""
    thread: int
    """Native thread id in this process."""
    history: tuple[float, ...] = ()
    """Items of each of the last 30 s, oldest first."""
    node: str = ""
    """Host of the worker in a cluster; empty without one."""
    work_seconds: float | None = None
    """Seconds since it began to process its current lease; None without one."""

    @property
    def is_scaled(self) -> bool:
        """Whether it is one of the workers whose number can be set: not the writer of the history stage."""
        return self.name.startswith(f"{self.stage}-")


@dataclass(frozen=True, slots=True)
class StageSnapshot:
    """One pool of workers."""

    name: StageName
    size: int
    """Desired number of workers."""
    alive: int
    """Current number of workers, including draining ones."""
    busy: int
    items: int
    """Items done since the start."""
    failed: int
    """Leases that ended with an error."""
    rate: float
    """Items per second over 10 s."""
    latency: Latency
    """Duration of one lease."""
    restarts: int
    paused: bool = False
    overall: Latency = field(default_factory=Latency)
    """Duration of one lease since the start."""
    oldest_work: float | None = None
    """Seconds since the oldest lease in progress was begun; None while no worker processes one."""


@dataclass(frozen=True, slots=True)
class HistoryFailure:
    """A request for bars that brought none."""

    request: str
    """Symbol, resolution and window."""
    symbol: str
    reason: str
    refused: bool
    """Whether the source has no chart of the symbol; otherwise it gave no usable answer."""


@dataclass(frozen=True, slots=True)
class CycleSnapshot:
    """The current or last cycle over all symbols."""

    number: int = 0
    """0 before the first."""
    total: int = 0
    """Symbols to fetch."""
    done: int = 0
    """Finished symbols: stored, duplicate, spooled, dead letter or missing."""
    running: bool = False
    seconds: float = 0.0
    """Duration so far, or of the finished cycle."""
    next_in: float | None = None
    """Seconds until the next cycle; None if none is scheduled."""
    skipped: int = 0
    """Starts that were due while this cycle was still running."""
    interval: float = 0.0
    """Seconds between the starts of two cycles."""
    last_seconds: float | None = None
    """Duration of the last finished cycle; None before the first, and after a first one that opened connections."""
    warming_up: bool = False
    """Whether it is the first one, and opens connections: its duration is not representative of the following ones."""


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """Yahoo Finance, as seen by the throttle."""

    health: Health = Health.STARTING
    message: str = ""
    rate_limit: float = 0.0
    """Current limit of requests per second."""
    retry_in: float | None = None
    """Seconds until the next attempt while the circuit breaker is open."""
    requests: int = 0
    failed: int = 0
    throttled: int = 0
    last_success: float | None = None
    """Seconds since the last successful request."""
    fx_pair: str = ""
    fx_rate: str = ""
    fx_age: float | None = None
    """Seconds since the rate was fetched."""
    succeeded: int = 0
    """Requests with a usable answer; a request in flight is not counted as succeeded, failed or throttled."""
    max_rate: float = 0.0
    """Configured limit of requests per second, to which the current one returns."""


@dataclass(frozen=True, slots=True)
class ConstituentsSnapshot:
    """The current list of constituents."""

    health: Health = Health.STARTING
    message: str = ""
    count: int = 0
    origin: str = ""
    """`wikipedia`, `cache`, `bundled` or `settings`."""
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class DatabaseSnapshot:
    """PostgreSQL, as seen by the writers."""

    health: Health = Health.STARTING
    message: str = ""
    url: str = ""
    """With the password masked."""
    embedded: bool = True
    retry_in: float | None = None
    commit: Latency = field(default_factory=Latency)
    rows_total: int | None = None
    """Rows in `prices`: those of the last count, made every few seconds, plus those stored by this run since."""


@dataclass(frozen=True, slots=True)
class JournalSnapshot:
    """The batches in the journal that are not committed yet."""

    health: Health = Health.OK
    message: str = ""
    batches: int = 0
    rows: int = 0
    bytes: int = 0
    limit_bytes: int = 0
    replayed: int = 0
    """Rows of an earlier run that this run has committed."""
    replay_left: int = 0
    """Rows of an earlier run that are not committed yet."""


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """The trading session of the exchange."""

    state: str | None = None
    next_state: MarketState | None = None
    next_change: datetime | None = None
    """Time of the next change, UTC; None if unknown."""


@dataclass(frozen=True, slots=True)
class LockSnapshot:
    """The interpreter lock (GIL) of this program over the last ten seconds."""

    held: float = 0.0
    """The share of the time for which a thread held it, from 0 to 1."""
    wait_ms: float = 0.0
    """Milliseconds for which a thread that becomes ready waits for it, on average."""
    longest_ms: float = 0.0
    """The longest of these waits."""

    @property
    def word(self) -> str:
        """`free`, `in use` if held for at least a tenth of the time, or `busy` for at least half of it."""
        return "free" if self.held < _IN_USE_FROM else "in use" if self.held < _BUSY_FROM else "busy"


@dataclass(frozen=True, slots=True)
class MissingSymbol:
    """A symbol without a price in the current or last cycle, with the reason."""

    symbol: str
    reason: str


@dataclass(frozen=True, slots=True)
class LivePrice:
    """The latest quote of one symbol and whether it is stored."""

    row: ConvertedQuote
    version: int
    """Increases with every change of any symbol."""
    written_by: str = ""
    """Name of the writer that committed it; empty before that."""


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """One node of a cluster, from its last heartbeat."""

    name: str
    """Unique name: `host:pid:random`."""
    host: str
    version: str
    health: Health
    """OK while heartbeats arrive, DEGRADED while it drains, DOWN after they have stopped."""
    message: str = ""
    """Why it is not OK: `lost 12 s ago; held 50 tickers and 500 rows; reassigned to node-b (500 rows) ...`."""
    heard: float = 0.0
    """Seconds since its last heartbeat."""
    uptime: float = 0.0
    scheduler: bool = False
    """Whether it is the scheduler."""
    here: bool = False
    """Whether it is this process."""
    stages: tuple[StageSnapshot, ...] = ()
    """The stages that it runs."""
    fetch_group: str = ""
    """Name of the group of nodes that share its outgoing address."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the pipeline at one moment, without prices and logs."""

    taken_at: datetime
    """UTC."""
    phase: Phase
    demo: bool
    uptime: float
    """Seconds since the start."""
    ledger: Ledger
    cycle: CycleSnapshot
    queues: tuple[QueueSnapshot, ...]
    """In the order of `QueueName`."""
    stages: tuple[StageSnapshot, ...]
    """In the order of `StageName`."""
    workers: tuple[WorkerSnapshot, ...]
    constituents: ConstituentsSnapshot = field(default_factory=ConstituentsSnapshot)
    sources: SourceSnapshot = field(default_factory=SourceSnapshot)
    database: DatabaseSnapshot = field(default_factory=DatabaseSnapshot)
    journal: JournalSnapshot = field(default_factory=JournalSnapshot)
    market: MarketSnapshot = field(default_factory=MarketSnapshot)
    missing: tuple[MissingSymbol, ...] = ()
    end_to_end: Latency = field(default_factory=Latency)
    """Time from the fetch to the commit."""
    end_to_end_overall: Latency = field(default_factory=Latency)
    """The same since the start."""
    verdict: Verdict = field(default_factory=Verdict)
    failure: str = ""
    """The reason if the phase is `failed`."""
    failure_code: ExitCode = ExitCode.INCOMPLETE
    nodes: tuple[NodeSnapshot, ...] = ()
    """The nodes of the cluster, this one first; empty without a cluster."""
    broker: str = ""
    """URL of the cluster's broker with the password masked; empty without a cluster."""
    broker_health: Health = Health.OK
    broker_message: str = ""
    """Why the broker cannot be used, and when the next attempt is made."""
    interpreter_lock: LockSnapshot | None = None
    """None on an interpreter without the lock."""

    def queue(self, name: QueueName) -> QueueSnapshot:
        """The queue of that name."""
        return next(queue for queue in self.queues if queue.name is name)

    def stage(self, name: StageName) -> StageSnapshot:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name is name)

    @property
    def has_history(self) -> bool:
        """Whether the history stage was started, by the first request for missing bars, or is paused."""
        return any(stage.name is StageName.HISTORY and (stage.alive or stage.paused) for stage in self.stages)

    @property
    def other_active_nodes(self) -> int:
        """Number of other nodes that are alive and run a stage."""
        return sum(
            not node.here and node.health is not Health.DOWN and bool(node.stages) for node in self.nodes
        )

    @property
    def degraded(self) -> tuple[str, ...]:
        """The reasons for which the pipeline is degraded, one line each; empty if it is not."""
        components = (self.constituents, self.sources, self.database, self.journal)
        health_messages = [(part.health, part.message) for part in components] + [
            (self.broker_health, self.broker_message)
        ]
        return tuple(
            message for health, message in health_messages if health in (Health.DEGRADED, Health.DOWN)
        )

"""What the pipeline tells its faces: immutable values, taken a few times a second. No behaviour but arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sp500tui.errors import ExitCode
from sp500tui.model import ConvertedQuote, MarketState


class StageName(StrEnum):
    """The four stages, in the order of the data."""

    SCRAPER = "scraper"
    PRICE = "price"
    CONVERTER = "converter"
    WRITER = "writer"


class QueueName(StrEnum):
    """The three queues between the stages, in the order of the data."""

    TICKERS = "tickers"
    QUOTES = "quotes"
    ROWS = "rows"


class WorkerState(StrEnum):
    """What a worker does now, in a word."""

    STARTING = "starting"
    IDLE = "idle"
    """Waits for work."""
    BUSY = "busy"
    BLOCKED = "blocked"
    """Has a result but the next queue is full: back-pressure."""
    WAITING = "waiting"
    """Has work but the source's throttle, a missing rate or the database holds it up."""
    BACKOFF = "backoff"
    """Died, and will be restarted in `retry_in` seconds."""
    PAUSED = "paused"
    DRAINING = "draining"
    """Finishes the lease in hand, then leaves."""
    HUNG = "stuck"
    """Its lease grew too old; it was replaced."""


class Phase(StrEnum):
    """What the pipeline as a whole does now."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    SPOOLING = "spooling"
    STOPPED = "stopped"
    FAILED = "failed"


class Health(StrEnum):
    """Whether something outside can be used."""

    STARTING = "starting"
    OK = "ok"
    DEGRADED = "degraded"
    """Works, but slower or older than it should: throttled, last good list, old rate."""
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds over the last minutes; None before the first measurement."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """One queue. Counts are items: tickers, quotes or rows."""

    name: QueueName
    ready: int
    in_flight: int
    capacity: int
    high_water: int
    """Highest `ready` since the start."""
    oldest_age: float | None
    """Seconds the oldest ready item has waited; None when empty."""
    rate_in: float
    """Items a second put in, over 10 s."""
    rate_out: float
    """Items a second taken and acknowledged, over 10 s."""

    @property
    def fill(self) -> float:
        """Depth as a share of the capacity, 0 to 1 and above when released leases overfill it."""
        return self.ready / self.capacity if self.capacity else 0.0

    @property
    def seconds_to_empty(self) -> float | None:
        """At the present rates; None when it is not shrinking, 0 when empty."""
        if not self.ready:
            return 0.0
        shrink = self.rate_out - self.rate_in
        return self.ready / shrink if shrink > 0 else None


@dataclass(frozen=True, slots=True)
class WorkerSnapshot:
    """One thread or process of one stage."""

    name: str
    """`price-3`."""
    stage: StageName
    state: WorkerState
    doing: str
    """What it works on or waits for, one line."""
    state_seconds: float
    """How long it has been in this state."""
    items: int
    rate_1: float
    rate_10: float
    rate_60: float
    """Items a second over 1, 10 and 60 s."""
    latency: Latency
    """Of one lease."""
    restarts: int
    last_error: str
    retry_in: float | None
    """Seconds until a backing-off or waiting worker tries again."""
    pid: int
    """Process id of a writer's process; of this process for a thread."""
    thread: int
    """Native id of the thread in this process."""
    history: tuple[float, ...] = ()
    """Items of each of the last 30 s, oldest first."""
    node: str = ""
    """Host of the worker in a cluster; empty when local."""


@dataclass(frozen=True, slots=True)
class StageSnapshot:
    """One pool of workers."""

    name: StageName
    size: int
    """Desired number of workers."""
    alive: int
    """Workers there now, draining ones included."""
    busy: int
    items: int
    """Items done since the start."""
    failed: int
    """Leases that raised or were handed back."""
    rate: float
    """Items a second over 10 s."""
    latency: Latency
    """Of one lease."""
    restarts: int
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """The one equation: every fetched quote is in exactly one of the places on its right side."""

    fetched: int = 0
    stored: int = 0
    duplicate: int = 0
    queued: int = 0
    in_flight: int = 0
    spooled: int = 0
    dead: int = 0

    def __str__(self) -> str:
        """The equation in words and numbers."""
        places = ("stored", "duplicate", "queued", "in_flight", "spooled", "dead")
        right = " + ".join(f"{name.replace('_', ' ')} {getattr(self, name):,}" for name in places)
        return f"fetched {self.fetched:,} = {right}"

    @property
    def brief(self) -> str:
        """The equation without the places that hold nothing: `fetched 503 = stored 480 + duplicate 23`."""
        first, *terms = str(self).split(" + ")
        return " + ".join([first, *(term for term in terms if not term.endswith(" 0"))])

    @property
    def balanced(self) -> bool:
        """Whether `fetched = stored + duplicate + queued + in_flight + spooled + dead`."""
        return self.fetched == (
            self.stored + self.duplicate + self.queued + self.in_flight + self.spooled + self.dead
        )


@dataclass(frozen=True, slots=True)
class CycleSnapshot:
    """The present or last round over all symbols."""

    number: int = 0
    """0 before the first."""
    total: int = 0
    """Symbols asked for."""
    done: int = 0
    """Symbols settled: stored, known already, spooled, dead-lettered or named missing."""
    running: bool = False
    seconds: float = 0.0
    """How long it has run, or ran."""
    next_in: float | None = None
    """Seconds until the next one; None when none will come by itself."""
    skipped: int = 0
    """Starts that fell due while this one cycle was still under way."""
    interval: float = 0.0
    """Seconds from start to start."""


@dataclass(frozen=True, slots=True)
class UpstreamSnapshot:
    """Yahoo Finance as seen through the throttle."""

    health: Health = Health.STARTING
    message: str = ""
    rate_limit: float = 0.0
    """Requests a second allowed at present."""
    retry_in: float | None = None
    """Seconds until the next attempt while the circuit is open."""
    requests: int = 0
    failed: int = 0
    throttled: int = 0
    last_success: float | None = None
    """Seconds since the last good answer."""
    fx_pair: str = ""
    fx_rate: str = ""
    fx_age: float | None = None
    """Seconds since the rate was fetched."""


@dataclass(frozen=True, slots=True)
class ListSnapshot:
    """The list of constituents in force."""

    health: Health = Health.STARTING
    message: str = ""
    count: int = 0
    origin: str = ""
    """`wikipedia`, `cache`, `bundled` or `settings`."""
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class DatabaseSnapshot:
    """PostgreSQL as the writers see it."""

    health: Health = Health.STARTING
    message: str = ""
    url: str = ""
    """With the password masked."""
    embedded: bool = True
    retry_in: float | None = None
    commit: Latency = field(default_factory=Latency)
    rows_total: int | None = None
    """Rows in `prices`, counted at most every few seconds."""


@dataclass(frozen=True, slots=True)
class JournalSnapshot:
    """Batches on disk that are not committed yet."""

    health: Health = Health.OK
    message: str = ""
    batches: int = 0
    rows: int = 0
    bytes: int = 0
    limit_bytes: int = 0
    replayed: int = 0
    """Rows taken over from an earlier run and committed by this one."""
    replay_left: int = 0
    """Rows of an earlier run still to be committed."""


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """The session of the exchange."""

    state: str | None = None
    next_state: MarketState | None = None
    next_change: datetime | None = None
    """When the session changes, UTC; None when unknown."""


@dataclass(frozen=True, slots=True)
class MissingSymbol:
    """A symbol asked for in the present or last cycle that has no price, and why."""

    symbol: str
    reason: str


@dataclass(frozen=True, slots=True)
class LivePrice:
    """The newest quote of one symbol and where it is."""

    row: ConvertedQuote
    version: int
    """Grows with every change of any symbol."""
    written_by: str = ""
    """Name of the writer that committed it; empty while it is under way."""


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The stage that holds the others up, in words."""

    stage: StageName
    reason: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """One machine's program in a cluster, as its heartbeat told it."""

    name: str
    """Unique while it lives: `host:pid:random`."""
    host: str
    version: str
    health: Health
    """OK while it is heard, DOWN when its heartbeat has stopped, DEGRADED while it drains."""
    message: str = ""
    """Why it is not OK: `lost 12 s ago; held 50 tickers and 500 rows; taken over by node-b (500 rows) ...`."""
    heard: float = 0.0
    """Seconds since its last heartbeat."""
    uptime: float = 0.0
    scheduler: bool = False
    """Whether it starts the cycles at present."""
    here: bool = False
    """Whether it is this program."""
    stages: tuple[StageSnapshot, ...] = ()
    """Only those that it runs."""
    fetch_group: str = ""
    """Name of the outgoing address it shares with the other nodes of that group."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a face shows except prices and logs, all of one moment."""

    taken_at: datetime
    """UTC."""
    phase: Phase
    demo: bool
    uptime: float
    """Seconds since the start."""
    ledger: Ledger
    cycle: CycleSnapshot
    queues: tuple[QueueSnapshot, ...]
    """tickers, quotes, rows."""
    stages: tuple[StageSnapshot, ...]
    """scraper, price, converter, writer."""
    workers: tuple[WorkerSnapshot, ...]
    constituents: ListSnapshot = field(default_factory=ListSnapshot)
    sources: UpstreamSnapshot = field(default_factory=UpstreamSnapshot)
    database: DatabaseSnapshot = field(default_factory=DatabaseSnapshot)
    journal: JournalSnapshot = field(default_factory=JournalSnapshot)
    market: MarketSnapshot = field(default_factory=MarketSnapshot)
    missing: tuple[MissingSymbol, ...] = ()
    end_to_end: Latency = field(default_factory=Latency)
    """From the fetch to the commit."""
    bottleneck: Bottleneck | None = None
    failure: str = ""
    """Why the phase is `failed`."""
    failure_code: ExitCode = ExitCode.INCOMPLETE
    nodes: tuple[NodeSnapshot, ...] = ()
    """All nodes of the cluster, this one first; empty when the pipeline runs in this program alone."""
    broker: str = ""
    """Address of the cluster's broker, password masked; empty without one."""
    broker_health: Health = Health.OK
    broker_message: str = ""
    """Why the broker cannot be used, and when it is tried again."""

    def queue(self, name: QueueName) -> QueueSnapshot:
        """The queue of that name."""
        return next(queue for queue in self.queues if queue.name is name)

    def stage(self, name: StageName) -> StageSnapshot:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name is name)

    @property
    def others_at_work(self) -> int:
        """Nodes of the cluster besides this one that are heard and run a stage."""
        return sum(
            not node.here and node.health is not Health.DOWN and bool(node.stages) for node in self.nodes
        )

    @property
    def degraded(self) -> tuple[str, ...]:
        """Why it does not run as it should, one line a reason; empty when all is well."""
        components = (self.constituents, self.sources, self.database, self.journal)
        told = [(part.health, part.message) for part in components] + [
            (self.broker_health, self.broker_message)
        ]
        return tuple(message for health, message in told if health in (Health.DEGRADED, Health.DOWN))

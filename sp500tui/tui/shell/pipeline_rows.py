"""The rows of the pipeline panel: the last seconds of each stage and queue, in the order of the data flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sp500tui.pipeline.core.names import QueueName, StageName
from sp500tui.pipeline.core.snapshot import Phase, QueueSnapshot, Snapshot, StageSnapshot, WorkerState
from sp500tui.pipeline.core.timing.shares import WINDOWS
from sp500tui.pipeline.core.verdict import VerdictKind
from sp500tui.tui.recent_seconds import RecentSeconds
from sp500tui.tui.render.event_marks import event_mark
from sp500tui.tui.render.formats import count, fit, milliseconds, plural, rate, short_count, short_span, size
from sp500tui.tui.render.labels import HEALTH_SIGNS, WORKER_SIGNS, trend
from sp500tui.tui.render.lines import Line, Role, Span, cut, longest_that_fits
from sp500tui.tui.render.strips import activity_strip, depth_strip, event_strip, time_axis, worker_signs

AXIS, JOURNAL, EVENTS = "stage", "journal", "events"
"""Rows that are neither a stage nor a queue."""
ROWS: tuple[StageName | QueueName | str, ...] = (
    AXIS,
    StageName.SCRAPER,
    QueueName.TICKERS,
    StageName.PRICE,
    QueueName.QUOTES,
    StageName.CONVERTER,
    QueueName.ROWS,
    StageName.WRITER,
    JOURNAL,
    StageName.HISTORY,
    EVENTS,
)
"""Rows from top to bottom, in the order of the data flow; history only once it was started."""
_IMPORTANCE = (
    StageName.PRICE,
    StageName.WRITER,
    StageName.CONVERTER,
    EVENTS,
    StageName.HISTORY,
    AXIS,
    QueueName.TICKERS,
    QueueName.ROWS,
    JOURNAL,
    QueueName.QUOTES,
    StageName.SCRAPER,
)
"""Rows by their priority in a low panel."""
_NAMES = {
    StageName.SCRAPER: "scrape",
    StageName.PRICE: "price",
    StageName.CONVERTER: "convert",
    StageName.WRITER: "write",
    StageName.HISTORY: "history",
}
_INPUT = {
    StageName.PRICE: QueueName.TICKERS,
    StageName.CONVERTER: QueueName.QUOTES,
    StageName.WRITER: QueueName.ROWS,
}
_TAKEN = {QueueName.TICKERS: "requested", QueueName.QUOTES: "in flight", QueueName.ROWS: "in flight"}
"""Label of the items leased from a queue; only quotes and rows are `in flight`, as in the equation."""
_ENDING = (Phase.DRAINING, Phase.SPOOLING, Phase.STOPPED, Phase.FAILED)
"""Phases in which ended workers are not replaced."""
_FULL, _CROWDED = 0.9, 0.6
_NOTABLE = 0.005
"""Minimum share of the last ten seconds at which it is shown that a queue holds its producers back."""
_LABEL = Role.LABEL
_WAITS = "◔ waiting   ◧ blocked   ◇ database down"
_LEGENDS = (
    f"░▒▓█ share of workers busy   {_WAITS}   ‖ paused   ✗ failed   ▁▄█ queue depth: 1, 25, 100 % full",
    f"░▒▓█ workers busy   {_WAITS}   ✗ failed   ▁▄█ queue 1, 25, 100 % full",
    f"░▒▓█ busy   {_WAITS}   ✗ failed   ▁▄█ queue depth",
)
"""The legend of the cells of the strips, from long to short."""
_ORDER = (
    WorkerState.BUSY,
    WorkerState.SOURCE,
    WorkerState.JOURNAL,
    WorkerState.DATABASE,
    WorkerState.DATABASE_DOWN,
    WorkerState.LIMIT,
    WorkerState.RATE,
    WorkerState.BLOCKED,
    WorkerState.BACKOFF,
    WorkerState.HUNG,
    WorkerState.PAUSED,
    WorkerState.IDLE,
    WorkerState.DRAINING,
    WorkerState.STARTING,
)
"""Legend of the signs of a pool's workers."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The cells of each part of a row; the strip gets those left by the others."""

    name: int
    now: int
    strip: int
    figures: tuple[tuple[str, int], ...]
    """Title and cells of the columns after the strip, each with the blank before it."""

    @property
    def room(self) -> int:
        """Cells after the strip."""
        return sum(cells for _, cells in self.figures)


@lru_cache(maxsize=64)
def columns(width: int, *, with_queues: bool = True) -> Columns:
    """The columns of a panel of `width` cells; if the queues have no rows, they get a column."""
    figures: list[tuple[str, int]] = [("rate", 9)]
    if width >= 150:
        figures += [("p50", 9)]
    if width >= 72:
        figures += [("p95 10 s", 9)]
    if width >= 96:
        figures += [("failed", 7)]
    if width >= 150:
        figures += [("restarts", 10)]
    if not with_queues:
        figures += [("queued", 14 if width >= 72 else 12)]
    name, now = 12, 15 if width >= 96 else 10 if width >= 72 else 7
    strip = width - 2 - name - now - 1 - sum(cells for _, cells in figures)
    return Columns(name, now, max(0, strip), tuple(figures))


def shown_rows(height: int, *, history: bool = False) -> list[StageName | QueueName | str]:
    """The rows that fit into `height` lines, from top to bottom; with `history` including that stage."""
    wanted = [row for row in _IMPORTANCE if history or row is not StageName.HISTORY]
    chosen = wanted[: max(1, height)]
    return [row for row in ROWS if row in chosen]


def stage_at(y: int, height: int, *, history: bool = False) -> StageName | None:
    """The stage in line `y`; None for any other row."""
    rows = shown_rows(height, history=history)
    row = rows[y] if 0 <= y < len(rows) else None
    return row if isinstance(row, StageName) else None


def strip_lines(
    snapshot: Snapshot, recent: RecentSeconds, selected: StageName, width: int, height: int
) -> list[Line]:
    """The panel in `height` lines of `width` cells."""
    rows = shown_rows(height, history=snapshot.has_history)
    layout = columns(width, with_queues=QueueName.TICKERS in rows)
    drawing = _Drawing(snapshot, recent, selected, layout)
    lines = [cut(drawing.row(row), width) for row in rows]
    return lines + [cut((), width)] * (height - len(lines))


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Draws the rows of one snapshot."""

    snapshot: Snapshot
    recent: RecentSeconds
    selected: StageName
    columns: Columns

    def row(self, row: StageName | QueueName | str) -> Line:
        if isinstance(row, StageName):
            return self._stage(self.snapshot.stage(row))
        if isinstance(row, QueueName):
            return self._queue(self.snapshot.queue(row))
        return {AXIS: self._axis, JOURNAL: self._journal, EVENTS: self._events}[row]()

    def _joined(self, name: Span, now: Line, strip: Line, figures: Line = (), mark: str = " ") -> Line:
        width = self.columns
        return (
            Span(f"{mark} ", Role.ACCENT),
            Span(fit(name.text, width.name), name.role),
            *cut(now, width.now),
            Span(" "),
            *strip,
            *figures,
        )

    def _axis(self) -> Line:
        titles = "".join(fit(title, cells, "right") for title, cells in self.columns.figures)
        axis = time_axis(self.columns.strip)
        return self._joined(
            Span("stage", _LABEL), (Span("now", _LABEL),), (Span(axis, _LABEL),), (Span(titles, _LABEL),)
        )

    def _stage(self, stage: StageSnapshot) -> Line:
        pool = stage.name is not StageName.SCRAPER
        chosen = stage.name is self.selected
        strip = self._strip(stage.name, lambda width: activity_strip(self.recent.stage(stage.name), width))
        now = _pool(self.snapshot, stage, self.columns.now - 1) if pool else self._listed()
        name = f"{_NAMES[stage.name]:<7} ×{stage.size}" if pool else _NAMES[stage.name]
        role = Role.SELECTED if chosen else Role.TITLE
        figures = (
            self._requests(stage)
            if stage.name is StageName.HISTORY
            else tuple(self._figure(stage, title, cells) for title, cells in self.columns.figures)
        )
        return self._joined(Span(name, role), now, strip, figures, "▸" if chosen else " ")

    def _figure(self, stage: StageSnapshot, title: str, cells: int) -> Span:
        if title == "queued":
            return self._queued(stage.name, cells)
        texts = {
            "rate": rate(stage.rate),
            "p50": milliseconds(stage.latency.p50),
            "p95 10 s": _latency(stage),
            "failed": count(stage.failed),
            "restarts": count(stage.restarts),
        }
        bad = (title == "failed" and stage.failed) or (title == "restarts" and stage.restarts)
        role = Role.WARN if bad else Role.DIM if title in ("failed", "restarts") else Role.VALUE
        return Span(fit(texts[title], cells, "right"), role)

    def _queued(self, stage: StageName, cells: int) -> Span:
        """The input queue of a stage, if the queue has no row."""
        if stage not in _INPUT:
            return Span(" " * cells)
        queue = self.snapshot.queue(_INPUT[stage])
        long = f"{count(queue.ready)} {queue.name}"
        text = long if self.columns.now > 7 else f"{short_count(queue.ready)} queued"
        return Span(fit(text, cells, "right"), _fill_role(queue) if queue.ready else Role.DIM)

    def _listed(self) -> Line:
        """The number of constituents, and whether the list is fresh."""
        listed = self.snapshot.constituents
        if self.snapshot.stage(StageName.SCRAPER).paused:
            return (Span("‖ paused", Role.WARN),)
        if self.snapshot.verdict.kind is VerdictKind.NO_WORKERS and not listed.count:
            return (Span("none", Role.WARN),)
        sign, role = HEALTH_SIGNS[listed.health]
        number = count(listed.count)
        texts = (f"{number} listed", number) if listed.count else (str(listed.health),)
        return longest_that_fits([(Span(sign, role), Span(f" {text}")) for text in texts], self.columns.now)

    def _queue(self, queue: QueueSnapshot) -> Line:
        strip = self._strip(
            queue.name, lambda width: depth_strip(self.recent.queue(queue.name), queue.capacity, width)
        )
        marks = (" !", "!") if queue.fill >= _CROWDED else ("",)
        numbers = [f"{count(queue.ready)} of {count(queue.capacity)}", count(queue.ready)]
        now: Line = longest_that_fits(
            [(Span(number + mark, _fill_role(queue)),) for number in numbers for mark in marks],
            self.columns.now,
        )
        return self._joined(Span(queue.name, _LABEL), now, strip, self._queue_figures(queue))

    def _requests(self, stage: StageSnapshot) -> Line:
        """The rate of the history stage, and its queue, which has no row."""
        queue, room = self.snapshot.queue(QueueName.HISTORY), self.columns.room
        if not queue.ready:
            return (
                Span(
                    fit("no bars are missing" if not stage.busy else rate(stage.rate), room, "right"),
                    Role.DIM,
                ),
            )
        age = f"oldest {short_span(queue.oldest_age)}"
        waiting = f"{count(queue.ready)} queued"
        variants = [f"{rate(stage.rate)}   {waiting}, {age}", f"{rate(stage.rate)}   {waiting}", waiting]
        text = next((each for each in variants if len(each) < room), f"{short_count(queue.ready)} queued")
        return (Span(fit(text, room, "right"), Role.VALUE),)

    def _queue_figures(self, queue: QueueSnapshot) -> Line:
        """Trend, age of the oldest item and leased items, or the time for which producers were held back."""
        room = self.columns.room
        shares = self.recent.held_back(queue.name)
        if shares[1] >= _NOTABLE:
            text = longest_text(_held_back_texts(queue, shares), room)
            return (Span(fit(text, room, "right"), Role.WARN),)
        taken = f"{count(queue.in_flight)} {_TAKEN[queue.name]}" if queue.in_flight else ""
        if not queue.ready:
            text = f"empty, {taken}" if taken else "empty"
            return (Span(fit(text if len(text) < room else "empty", room, "right"), Role.DIM),)
        sign, word = trend(queue)
        age = f"{short_span(queue.oldest_age)} old"
        flow = f"in {rate(queue.rate_in)}, out {rate(queue.rate_out)}, highest {count(queue.high_water)}"
        variants = [f"{flow}   {sign} {word}   {age}", f"{sign} {word}   {age}", f"{sign} {age}", age]
        variants = [*(f"{taken}   {variant}" for variant in variants[:2] if taken), *variants]
        return (Span(fit(longest_text(variants, room), room, "right"), _LABEL),)

    def _journal(self) -> Line:
        journal = self.snapshot.journal
        if self.snapshot.broker:
            return self._joined(Span(JOURNAL, _LABEL), (Span("on the broker", Role.DIM),), ())
        sign, role = ("! ", Role.WARN) if journal.rows else ("", Role.DIM)
        strip = self._strip(JOURNAL, self._journal_strip)
        left = f", replaying {plural(journal.replay_left, 'row')}" if journal.replay_left else ""
        figures = fit(f"{size(journal.bytes)}{left}" if journal.rows else "", self.columns.room, "right")
        numbers = (plural(journal.rows, "row"), count(journal.rows), short_count(journal.rows))
        now = longest_that_fits([(Span(sign + number, role),) for number in numbers], self.columns.now)
        return self._joined(Span(JOURNAL, _LABEL), now, strip, (Span(figures, _LABEL),))

    def _journal_strip(self, width: int) -> Line:
        rows = self.recent.journal()
        full = max([self.snapshot.queue(QueueName.ROWS).capacity, *(number or 0 for number in rows)])
        return depth_strip(rows, full, width)

    def _events(self) -> Line:
        return self._joined(Span(EVENTS, _LABEL), (), self._strip(EVENTS, self._event_strip))

    def _event_strip(self, width: int) -> Line:
        marks = [mark for mark in (event_mark(event, ago) for ago, event in self.recent.events()) if mark]
        return event_strip(marks, width, self.columns.room)

    def _strip(self, row: str, draw: Callable[[int], Line]) -> Line:
        width = self.columns.strip
        return self.recent.line((row, width), lambda: draw(width))


def _latency(stage: StageSnapshot) -> str:
    """The p95 of the last ten seconds, or `>12 s` if a current lease has taken longer."""
    seconds = stage.oldest_work or 0.0
    if seconds >= 1 and seconds * 1000 > (stage.latency.p95 or 0.0):
        return f">{short_span(int(seconds))}"
    return milliseconds(stage.latency.p95)


def longest_text(variants: Sequence[str], room: int) -> str:
    """The first variant that leaves a blank in `room` cells; the last one if none does."""
    return next((each for each in variants if len(each) < room), variants[-1])


def _held_back_texts(queue: QueueSnapshot, shares: Sequence[float]) -> list[str]:
    """How long a queue held its producers back in the last 1, 10 and 60 s, from long to short."""
    percent = [f"{share * 100:.0f}" for share in shares]
    windows = f"{'/'.join(percent)} % of {'/'.join(map(str, WINDOWS))} s"
    age = f"{short_span(queue.oldest_age)} old" if queue.ready else "empty"
    short = f"held back {percent[1]} %"
    return [
        f"held back {windows}   {age}",
        f"held back {windows}",
        f"{short} of {WINDOWS[1]} s   {age}",
        f"{short}  {age}",
        f"{short} of {WINDOWS[1]} s",
        short,
    ]


def _fill_role(queue: QueueSnapshot) -> Role:
    return Role.BAD if queue.fill >= _FULL else Role.WARN if queue.fill >= _CROWDED else Role.VALUE


def _pool(snapshot: Snapshot, stage: StageSnapshot, width: int) -> Line:
    """A sign for each worker, by state; if they do not fit, the number of each sign."""
    ending = snapshot.phase in _ENDING
    if ending and not stage.alive:
        return (Span("ended", Role.LABEL),)
    if stage.paused:
        return (Span("‖ paused", Role.WARN),)
    if not stage.size and not stage.alive:
        return (Span("none", Role.WARN),)
    states = [worker.state for worker in snapshot.workers if worker.stage is stage.name and worker.is_scaled]
    if len(states) != stage.alive:
        leaving = max(0, stage.alive - stage.size)
        busy = min(stage.busy, stage.alive)
        states = [WorkerState.BUSY] * busy + [WorkerState.IDLE] * (stage.alive - leaving - busy)
        states += [WorkerState.DRAINING] * (stage.alive - len(states))
    states += [WorkerState.STARTING] * (0 if ending else stage.size - stage.alive)
    counts: dict[tuple[str, Role], int] = {}
    for state in sorted(states, key=_ORDER.index):
        counts[WORKER_SIGNS[state]] = counts.get(WORKER_SIGNS[state], 0) + 1
    return worker_signs([(number, sign, role) for (sign, role), number in counts.items()], width)


def panel_title(width: int, height: int, stage: str, *, history: bool, in_cluster: bool) -> str:
    """The title of a panel of a given size: what its strips, its untitled figures and its keys refer to."""
    rows = shown_rows(height, history=history)
    layout = columns(width, with_queues=QueueName.TICKERS in rows)
    # Only the axis row has column titles.
    figures = "rates" if AXIS in rows or len(layout.figures) < 3 else "rate and p95"
    window = f"last {layout.strip} s{' of this node' if in_cluster else ''}"
    variants = [
        ("pipeline", window, f"{figures} of 10 s", stage),
        ("pipeline", window, stage),
        ("pipeline", stage),
    ]
    return longest_text([" · ".join(parts) for parts in variants], width - 1)


def legend(width: int) -> str:
    """The longest legend that fits the border."""
    return next((words for words in _LEGENDS if width > len(words) + 8), "")

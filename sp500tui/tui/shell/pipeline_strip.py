"""The pipeline strip: the stages and queues in the order of the data, a column each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.reactive import reactive

from sp500tui.pipeline.core.snapshot import (
    Health,
    QueueName,
    QueueSnapshot,
    Snapshot,
    StageName,
    StageSnapshot,
)
from sp500tui.tui.messages import StageSelected
from sp500tui.tui.render.formats import count, fit, gauge, milliseconds, rate, short_count, short_span
from sp500tui.tui.render.labels import (
    HEALTH_SIGNS,
    STAGE_TITLES,
    bottleneck_label,
    flow_label,
    trend,
    trouble,
)
from sp500tui.tui.render.lines import Line, Role, Span, cut, longest_that_fits
from sp500tui.tui.render.lines_widget import LinesWidget
from sp500tui.tui.render.titles import set_titles

COLUMNS: tuple[StageName | QueueName | None, ...] = (
    StageName.SCRAPER,
    QueueName.TICKERS,
    StageName.PRICE,
    QueueName.QUOTES,
    StageName.CONVERTER,
    QueueName.ROWS,
    StageName.WRITER,
    None,
)
"""In the order of the data; None is the database."""

_NAMES = {
    StageName.SCRAPER: ("Wikipedia", "Wiki"),
    StageName.PRICE: ("price", "pr"),
    StageName.CONVERTER: ("convert", "conv", "cv"),
    StageName.WRITER: ("write", "wr"),
}
"""From long to short, for columns from wide to narrow."""
_FULL, _CROWDED = 0.9, 0.6
_LABEL = Role.LABEL


@dataclass(frozen=True, slots=True)
class Column:
    """Where one stage, queue or the database is drawn."""

    what: StageName | QueueName | None
    left: int
    width: int


def columns(width: int) -> list[Column]:
    """The eight columns of a strip of `width` cells, an arrow's room between them."""
    gap = arrow_room(width)
    base, extra = divmod(max(0, width - gap * (len(COLUMNS) - 1)), len(COLUMNS))
    wider = [index for index, what in enumerate(COLUMNS) if isinstance(what, QueueName)] + [0, 7, 4, 2, 6]
    result, left = [], 0
    for index, what in enumerate(COLUMNS):
        room = base + (index in wider[:extra])
        result.append(Column(what, left, room))
        left += room + gap
    return result


def arrow_room(width: int) -> int:
    """Cells between two columns."""
    return 5 if width >= 180 else 3 if width >= 104 else 1


def stage_at(x: int, width: int) -> StageName | None:
    """The stage drawn at cell `x`; a queue or the database gives none."""
    for column in columns(width):
        if column.left <= x < column.left + column.width:
            return column.what if isinstance(column.what, StageName) else None
    return None


def strip_lines(
    snapshot: Snapshot, selected: StageName, width: int, height: int, *, show_trouble: bool
) -> list[Line]:
    """The strip in `height` lines: as many facts a column as fit, then what holds the pipeline up.

    With `show_trouble` the last line says what is wrong instead, when something is.
    """
    layout = columns(width)
    rows = max(1, height - 1)
    cells = [_cells(snapshot, column, selected, rows) for column in layout]
    lines = []
    for y in range(rows):
        spans: list[Span] = []
        for index, (column, lines_of) in enumerate(zip(layout, cells, strict=True)):
            spans.extend(cut(lines_of[y] if y < len(lines_of) else (), column.width))
            if index < len(layout) - 1:
                spans.append(_arrow(snapshot, index, arrow_room(width), visible=y == 1))
        lines.append(cut(spans, width))
    return [*lines, notice(snapshot, width, show_trouble=show_trouble)][-height:] if height > 1 else lines


def notice(snapshot: Snapshot, width: int, *, show_trouble: bool) -> Line:
    """Where the bottleneck is, or what is wrong."""
    wrong = trouble(snapshot) if show_trouble else None
    if wrong is not None:
        return cut((Span(f"! {wrong[0]}", wrong[1]),), width)
    role = Role.WARN if snapshot.bottleneck else _LABEL
    return cut((Span(bottleneck_label(snapshot), role),), width)


def _arrow(snapshot: Snapshot, index: int, room: int, *, visible: bool) -> Span:
    """The arrow behind a column, bright while something flows there."""
    if not visible:
        return Span(" " * room)
    flowing = _flows(snapshot)[index] > 0
    return Span("▶".center(room), Role.ACCENT if flowing else Role.DIM)


def _flows(snapshot: Snapshot) -> Sequence[float]:
    """Items a second across each of the seven arrows."""
    flows = [flow for queue in snapshot.queues for flow in (queue.rate_in, queue.rate_out)]
    return [*flows, snapshot.stage(StageName.WRITER).rate]


def _cells(snapshot: Snapshot, column: Column, selected: StageName, rows: int) -> list[Line]:
    """The lines of one column, the most telling first."""
    if column.what is None:
        return _database_cells(snapshot, column.width)
    if isinstance(column.what, QueueName):
        return _queue_cells(snapshot.queue(column.what), column.width, rows)
    return _stage_cells(snapshot, snapshot.stage(column.what), column.width, selected)


def _queue_cells(queue: QueueSnapshot, width: int, rows: int) -> list[Line]:
    role = Role.BAD if queue.fill >= _FULL else Role.WARN if queue.fill >= _CROWDED else Role.ACCENT
    bar = gauge(queue.fill, width, queue.high_water / queue.capacity if queue.capacity else None)
    thick = bar.rstrip("─┼")
    sign, _ = trend(queue)
    cells: list[Line] = [
        (Span(queue.name, Role.TITLE),),
        (Span(thick, role), Span(bar[len(thick) :], Role.DIM)),
        _depth(queue, width, sign if rows < 8 else ""),
        _age(queue, width),
        (Span("in ", _LABEL), Span(rate(queue.rate_in))),
        (Span("out ", _LABEL), Span(rate(queue.rate_out))),
        (Span("high ", _LABEL), Span(count(queue.high_water))),
        _flow(queue, width, role if queue.fill >= _CROWDED else _LABEL),
    ]
    return cells


def _flow(queue: QueueSnapshot, width: int, role: Role) -> Line:
    """Whether it fills or drains, and when it will be empty where there is room for it."""
    sign, word = trend(queue)
    return longest_that_fits([(Span(f"{sign} {words}", role),) for words in (flow_label(queue), word)], width)


def _p95(value: float | None, width: int) -> Line:
    words = milliseconds(value)
    tight = Span(words.replace(" ", ""))
    label = Span("p95 ", _LABEL)
    return longest_that_fits([(label, Span(words)), (label, tight), (tight,)], width)


def _age(queue: QueueSnapshot, width: int) -> Line:
    """How long the oldest item has waited."""
    if not queue.ready:
        return (Span("empty", Role.DIM),)
    age = Span(short_span(queue.oldest_age))
    return longest_that_fits([(age, Span(" old", _LABEL)), (age,)], width)


def _depth(queue: QueueSnapshot, width: int, sign: str) -> Line:
    """Depth of capacity, and the trend's sign where it has no line of its own."""
    variants: list[Line] = []
    for number in (count, short_count):
        depth = (Span(number(queue.ready)), Span(f"/{number(queue.capacity)}", _LABEL))
        variants += [(*depth, Span(f" {sign}", _LABEL)), depth] if sign else [depth]
    return longest_that_fits(variants, width)


def _stage_cells(snapshot: Snapshot, stage: StageSnapshot, width: int, selected: StageName) -> list[Line]:
    slow = snapshot.bottleneck is not None and snapshot.bottleneck.stage is stage.name
    pool = stage.name is not StageName.SCRAPER
    name = _name(_NAMES[stage.name], f" ×{stage.size}" if pool else "", width)
    sign = _pool(stage, width) if pool else _list_cell(snapshot, width)
    mark = (" !" if len(name) + 2 <= width else "!") if slow else ""
    role = Role.SELECTED if stage.name is selected else Role.WARN if slow else Role.TITLE
    return [
        (Span(fit(name + mark, width), role),),
        sign,
        (Span(rate(stage.rate)),),
        _p95(stage.latency.p95, width),
        (Span(f"{stage.busy}/{stage.alive}"), Span(" busy", _LABEL)),
        (Span(short_count(stage.items)), Span(" done", _LABEL)),
        _faults(stage.failed, "failed"),
        _faults(stage.restarts, "restarts"),
    ]


def _faults(number: int, noun: str) -> Line:
    """A number that should be zero."""
    return (Span(count(number), Role.WARN if number else Role.DIM), Span(f" {noun}", _LABEL))


def _name(names: tuple[str, ...], size: str, width: int) -> str:
    """The longest of the names that leaves room for the pool size and the bottleneck's mark."""
    reserved = 1 if size else 0
    return next((name + size for name in names if len(name + size) + reserved <= width), names[-1] + size)


def _list_cell(snapshot: Snapshot, width: int) -> Line:
    """How many constituents are known and whether the list is fresh."""
    listed = snapshot.constituents
    sign, role = HEALTH_SIGNS[listed.health]
    if not listed.count:
        return (Span(sign, role), Span(f" {listed.health}"))
    number = count(listed.count)
    return longest_that_fits(
        [(Span(sign, role), Span(f" {words}")) for words in (f"{number} listed", number)], width
    )


def _pool(stage: StageSnapshot, width: int) -> Line:
    """A sign for each worker: busy ●, idle ○, draining ▽, still starting ◌; a gauge where they do not fit."""
    if stage.paused:
        return (Span("‖ paused", Role.WARN),)
    if not stage.size and not stage.alive:
        return (Span("none", Role.WARN),)
    busy = min(stage.busy, stage.alive)
    leaving = max(0, stage.alive - stage.size)
    idle = max(0, stage.alive - leaving - busy)
    coming = max(0, stage.size - stage.alive)
    if busy + idle + leaving + coming > width:
        bar = gauge(busy / max(1, stage.alive), width)
        thick = bar.rstrip("─")
        return (Span(thick, Role.GOOD), Span(bar[len(thick) :], Role.DIM))
    leaving = min(leaving, stage.alive - busy - idle)
    return (
        Span("●" * busy, Role.GOOD),
        Span("○" * idle, Role.DIM),
        Span("▽" * leaving, Role.WARN),
        Span("◌" * coming, _LABEL),
    )


def _database_cells(snapshot: Snapshot, width: int) -> list[Line]:
    database = snapshot.database
    sign, role = HEALTH_SIGNS[database.health]
    word = "ready" if database.health is Health.OK else str(database.health)
    retry: Line = ()
    if database.retry_in is not None:
        span = Span(short_span(database.retry_in), Role.WARN)
        retry = longest_that_fits([(Span(words, _LABEL), span) for words in ("again in ", "in ")], width)
    return [
        longest_that_fits([(Span(name, Role.TITLE),) for name in ("PostgreSQL", "Postgres", "PgSQL")], width),
        (Span(sign, role), Span(f" {word}")),
        _rows(database.rows_total, width),
        _p95(database.commit.p95, width),
        retry or (Span("embedded" if database.embedded else "by URL", _LABEL),),
        (Span(rate(snapshot.stage(StageName.WRITER).rate)), Span(" in", _LABEL)),
    ]


def _rows(total: int | None, width: int) -> Line:
    """How many rows the table `prices` has."""
    if total is None:
        return (Span("– rows", _LABEL),)
    numbers = (count(total), short_count(total), short_count(total, whole=True))
    variants: list[Line] = [(Span(number), Span(" rows", _LABEL)) for number in numbers]
    return longest_that_fits([*variants, (Span(numbers[-1]),)], width)


class PipelineStrip(LinesWidget):
    """Draws the latest snapshot; a click on a stage selects it."""

    selected: reactive[StageName] = reactive(StageName.PRICE)
    """The stage that the scaling keys act on."""

    def __init__(self) -> None:
        super().__init__(id="strip", classes="panel")
        self._snapshot: Snapshot | None = None
        self._show_trouble = False
        self.message = ""
        """The effect of the last key."""

    def show(self, snapshot: Snapshot, *, show_trouble: bool) -> None:
        """Show a snapshot; with `show_trouble` also what is wrong, because no other line has room for it."""
        self._snapshot, self._show_trouble = snapshot, show_trouble
        self._draw()

    def show_message(self, text: str) -> None:
        """Show a key's effect in the border; an empty text removes it."""
        self.message = text
        self._update_title()

    def watch_selected(self, selected: StageName) -> None:
        """Name the selected stage in the title, so that it is not shown by colour alone."""
        del selected
        self._update_title()
        self._draw()

    def _update_title(self) -> None:
        """Name the stage in the upper border, and show the message in the lower one, or above where there is none."""
        title = f"pipeline · {STAGE_TITLES[self.selected]} selected"
        if self.styles.border_bottom[0] in ("", "none"):
            set_titles(self, f"pipeline · {self.message}" if self.message else title)
        else:
            set_titles(self, title, self.message)

    def on_resize(self, _event: events.Resize) -> None:
        """Lay the contents out for the new size."""
        self._update_title()
        self._draw()

    def on_click(self, event: events.Click) -> None:
        """Select the stage under the pointer."""
        offset = event.get_content_offset(self)
        stage = stage_at(offset.x, self.size.width) if offset is not None else None
        if stage is not None:
            self.post_message(StageSelected(stage))

    def _draw(self) -> None:
        if self._snapshot is not None and self.size.width and self.size.height:
            lines = strip_lines(self._snapshot, self.selected, *self.size, show_trouble=self._show_trouble)
            self.show_lines(lines)
